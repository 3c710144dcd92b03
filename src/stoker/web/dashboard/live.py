"""Pages that change by themselves: the live blocks of a page, sent again when they are different.

A page is rendered once for all who look at the same page as the same identity, at most every other second, and only
while somebody looks.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from stoker import clock
from stoker.web.departure import departing
from stoker.web.event_stream import EventStream, Parts
from stoker.web.identity import Identity
from stoker.web.problem import Problem, problem_of
from stoker.web.reach import Reach, reach_of
from stoker.web.server_sent import HEADERS, event
from stoker.web.stream_limit import StreamLimit

Blocks = Mapping[str, str]
Look = Callable[[Reach, str], Awaitable[Blocks]]
"""Renders the live blocks of a page, `ui/jobs?state=failed`."""
_Key = tuple[int, Identity, str]
"""an event loop, who looks, and at which page"""

PAUSE: Final = 2.0
"""Seconds between two looks, at least."""
_SHARE: Final = 4
"""A pause is at least so many times as long as the look before it took."""
_LIFE: Final = 300.0
"""Seconds after which a stream ends and the browser begins another: who has signed out sees no more."""
_QUIET: Final = 15.0
"""Seconds after which an empty line shows that the stream is alive."""
_GLANCE: Final = 0.25
"""Seconds between two looks at whether the server is about to end."""
_MOST: Final = 500
"""Different pages watched at once."""
_MOST_OF_ONE: Final = 50
"""The same for one identity, which leaves the others some."""
_LONGEST: Final = 4_000
"""Characters of a page's address."""

_RELATIVE: Final = re.compile(r"(<time [^>]*data-ago[^>]*>)[^<]*")
"""Times that the browser itself keeps up to date: no reason to send a block again."""

_log = logging.getLogger("stoker.web")


class Live:
    """Watches pages for those who look at them."""

    def __init__(self, look: Look, limit: StreamLimit) -> None:
        self._look = look
        self._limit = limit
        self._showings: dict[_Key, _Showing] = {}

    def close(self) -> None:
        """End every stream: the server is about to stop. On its loop."""
        for showing in self._showings.values():
            showing.end()

    async def stream(self, request: Request) -> Response:
        """Server-sent events: `blocks` (HTML by name), `trouble` while there is none, `again` at the end."""
        reach = reach_of(request)
        page = request.query_params.get("page", "")
        if len(page) > _LONGEST:
            raise Problem(422, "invalid-page", "this page's address is too long to be watched")
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        return EventStream(self._watched(reach, page))

    @contextmanager
    def _watched(self, reach: Reach, page: str) -> Iterator[Parts]:
        """Watch the page, as one of so many streams. Raises a 503 where there are too many, of them or of pages."""
        key = id(asyncio.get_running_loop()), reach.who, page
        with self._limit.held():
            showing = self._showing(key, reach)
            try:
                with showing.watched():
                    yield _parts(showing)
            finally:
                if showing.deserted and self._showings.get(key) is showing:
                    del self._showings[key]

    def _showing(self, key: _Key, reach: Reach) -> _Showing:
        """The one that others look at already, or a new one, which counts from now on."""
        showing = self._showings.get(key)
        if showing is None:
            if self._is_full(reach.who):
                raise Problem(503, "too-many-streams", "too many pages are watched now", headers={"retry-after": "10"})
            showing = self._showings[key] = _Showing(partial(self._look, reach, key[2]))
        return showing

    def _is_full(self, identity: Identity) -> bool:
        own = sum(identity == other for _, other, _ in self._showings)
        return own >= _MOST_OF_ONE or len(self._showings) >= _MOST


async def _parts(showing: _Showing) -> Parts:
    async for name, data in showing.changes():
        yield event(name, data)


class _Showing:
    """One page, as one identity sees it, looked at again and again while somebody watches."""

    def __init__(self, look: Callable[[], Awaitable[Blocks]]) -> None:
        self._look = look
        self._viewers = 0
        self._watching: asyncio.Task[None] | None = None
        self._turned = asyncio.Event()
        """set at the end of this turn, when another takes its place"""
        self._turn = 0
        self._blocks: Blocks = {}
        self._trouble: dict[str, Any] | None = None
        self._over = False

    @property
    def deserted(self) -> bool:
        return self._viewers == 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody looks; the first begins the watch, the last one ends it."""
        self._viewers += 1
        if self._watching is None:
            self._watching = asyncio.ensure_future(self._watch())
        try:
            yield
        finally:
            self._viewers -= 1
            if self.deserted and self._watching is not None:
                self._watching.cancel()
                self._watching = None

    def end(self) -> None:
        """Send everybody away."""
        self._over = True
        self._turned.set()

    async def _watch(self) -> None:
        while not self._over:
            began = clock.monotonic()
            try:
                self._blocks, self._trouble = await self._look(), None
            except Exception as error:  # noqa: BLE001 - whoever looks is told, and it may pass
                problem = problem_of(error)
                if problem.status == 500:
                    _log.exception("a live page cannot be made")
                self._trouble = {"status": problem.status, "detail": problem.detail}
            self._turn += 1
            turned, self._turned = self._turned, asyncio.Event()
            turned.set()
            await self._rest(max(PAUSE, _SHARE * (clock.monotonic() - began)))

    async def _rest(self, seconds: float) -> None:
        until = clock.monotonic() + seconds
        while not self._over and (left := until - clock.monotonic()) > 0:
            await asyncio.sleep(min(left, _GLANCE))
            if departing():
                self.end()

    async def _turning(self) -> None:
        """Wait for the end of this turn, but not so long that the stream seems dead."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_QUIET):
                await self._turned.wait()

    async def changes(self) -> AsyncIterator[tuple[str, Any]]:
        """What is different from what this viewer was told, as it comes; and now and then that all is well."""
        told: dict[str, str] = {}
        trouble: dict[str, Any] | None = None
        seen = 0
        spoke = began = clock.monotonic()
        while not self._over:
            if self._turn == seen:
                await self._turning()
            seen = self._turn
            now = clock.monotonic()
            if now - began > _LIFE:
                yield "again", {}
                return
            still = {name: _RELATIVE.sub(r"\1", html) for name, html in self._blocks.items()}
            news = {name: self._blocks[name] for name in still if told.get(name) != still[name]}
            told.update(still)
            if seen and (self._trouble != trouble or news or now - spoke >= _QUIET):
                spoke, trouble = now, self._trouble
                yield ("blocks", news) if trouble is None else ("trouble", trouble)
