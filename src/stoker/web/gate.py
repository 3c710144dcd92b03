"""The gate: before anything else it decides whether a request may come in, and as whom."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stoker import tokens
from stoker.app import Stoker
from stoker.errors import ConfigError, InvalidToken
from stoker.job import is_storable
from stoker.web.config import Config
from stoker.web.identity import LOCAL, Identity
from stoker.web.mount import path_of
from stoker.web.nearby import is_from_here
from stoker.web.origin import origin_of, scheme_of
from stoker.web.pace import Pace
from stoker.web.problem import Problem, problem_of
from stoker.web.reach import Reach, leave

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_OPEN: Final = ("/health/", "/static/")
"""Paths that say nothing of anybody."""

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-site"),
)
"""What every answer says to browsers; pages say more."""
_READABLE: Final = (b"access-control-allow-origin", b"*")
"""Pages of every origin may read what a token lets them read: it is no secret of the visitor's that a cookie opens."""


Answer = Callable[[HTTPConnection, Problem], Response]
"""How a problem is told to whoever asked."""


class Gate:
    """ASGI middleware: who asks, whether they may, and not too often. Leaves a `Reach` in the scope's state."""

    def __init__(self, inner: ASGIApp, app: Stoker, config: Config, answer: Answer) -> None:
        self._inner = inner
        self._app = app
        self._config = config
        self._answer = answer
        self._pace = Pace(config.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it in, or answer with a problem."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            reach = await self._admit(connection)
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                raise
            await self._refuse(connection, problem, receive, _saying(HEADERS, send))
            return
        leave(scope, reach)
        headers = (*HEADERS, _READABLE) if reach.by_token else HEADERS
        await self._inner(scope, receive, _saying(headers, send))

    async def _refuse(self, connection: HTTPConnection, problem: Problem, receive: Receive, send: Send) -> None:
        if connection.scope["type"] == "websocket":
            # It was not accepted, so the server answers with a plain 403: a code and a reason would reach nobody.
            await send({"type": "websocket.close"})
        else:
            await self._answer(connection, problem)(connection.scope, receive, send)

    async def _admit(self, connection: HTTPConnection) -> Reach:
        path = path_of(connection)
        if path.startswith(_OPEN):
            return Reach(self._app, None)
        identity = await self._identify(connection)
        token_for = await self._token(connection, needed=identity is None)
        if identity is None and token_for is None:
            raise Problem(401, "unauthenticated", "nobody is signed in here", headers={"www-authenticate": "Bearer"})
        if connection.scope["type"] == "websocket" or connection.scope["method"] not in SAFE:
            self._check_origin(connection)
        if connection.scope["type"] == "http" and connection.scope["method"] not in SAFE:
            self._check_change(identity)
        return Reach(self._app, identity, token_for)

    async def _identify(self, connection: HTTPConnection) -> Identity | None:
        identify = self._config.identify
        if identify is None:
            if not is_from_here(connection):
                raise _closed()
            return LOCAL
        found = identify(connection)
        if inspect.isawaitable(found):
            found = await found
        if found is not None and not isinstance(found, Identity):
            raise ConfigError(f"identify must return an Identity or None, not {found!r}")
        if found is not None and not is_storable(found.owner or ""):
            raise Problem(403, "forbidden", "nobody of that name can have jobs here: it is not Unicode without NUL")
        return found

    async def _token(self, connection: HTTPConnection, *, needed: bool) -> str | None:
        """The job for which the request has a token. Raises a 401 for a bad one where nothing else lets it in."""
        token = connection.query_params.get("token") or _bearer(connection)
        if not token:
            return None
        engine = self._app.engine
        try:
            return tokens.read(await engine.aplay(engine.secret()), token)
        except InvalidToken as error:
            if not needed:  # it may be the app's own bearer
                return None
            headers = {"www-authenticate": "Bearer", "access-control-allow-origin": "*"}
            raise Problem(401, "invalid-token", str(error), headers=headers) from None

    def _check_origin(self, connection: HTTPConnection) -> None:
        """A browser says from whose page a request comes: others' pages may not act in their visitors' name."""
        said = connection.headers.get("origin")
        if said is None:
            if connection.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
                return
        elif (origin := origin_of(said)) in self._config.origins or origin in _own_origins(connection, origin):
            return
        raise Problem(
            403, "foreign-origin", "a page of another origin asks for this; allow it with create(…, origins=[…])"
        )

    def _check_change(self, identity: Identity | None) -> None:
        if self._config.read_only:
            raise Problem(403, "read-only", "this server is read-only: nothing can be changed through it")
        if identity is None:
            raise Problem(401, "unauthenticated", "a token is for following its one job; it changes nothing")
        wait = self._pace.wait(identity)
        if wait > 0:
            raise Problem(
                429,
                "too-many-requests",
                f"too many requests; ask again in {wait} s",
                headers={"retry-after": str(wait)},
            )


def _saying(headers: Sequence[tuple[bytes, bytes]], send: Send) -> Send:
    """The same, and answers have these headers besides, unless they say something else under the same name."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = message.setdefault("headers", [])
            there = {name for name, _ in own}
            own.extend(pair for pair in headers if pair[0] not in there)
        await send(message)

    return send_with_headers


def _closed() -> Problem:
    return Problem(
        403,
        "closed",
        "this server answers requests from its own machine only, because nothing tells it who asks: "
        "give stoker.web.create(…, identify=…)",
    )


def _bearer(connection: HTTPConnection) -> str | None:
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _own_origins(connection: HTTPConnection, origin: str) -> frozenset[str]:
    """What the browser may call this server's origin, with the scheme of that one: a proxy may hide which it is."""
    return frozenset(origin_of(f"{scheme_of(origin)}://{name}") for name in _hosts(connection))


def _hosts(connection: HTTPConnection) -> Iterator[str]:
    """By which names the browser may know this server; a browser's script cannot set these headers."""
    forwarded = connection.headers.get("x-forwarded-host", "").partition(",")[0]  # later ones name inner proxies
    for name in (connection.headers.get("host", ""), forwarded.strip()):
        if name:
            yield name
