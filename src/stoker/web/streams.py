"""The streams of a job: server-sent events and WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from stoker import clock
from stoker.job import Job
from stoker.web.desk import Desk
from stoker.web.follower import Follower, Sign
from stoker.web.identity import Identity
from stoker.web.news import News
from stoker.web.operation import Access, Operation
from stoker.web.present import Presenter, encoded
from stoker.web.problem import LATER, Problem, problem_of
from stoker.web.reach import reach_of
from stoker.web.server_sent import HEADERS, MEDIA, RECONNECT, event

_QUIET: Final = 15.0
"""Seconds of silence after which a stream says that it lives, so that nothing between takes it for dead."""
_STALLED: Final = 30.0
"""Seconds for which a client may take nothing in before its stream is given up."""
_LIFE: Final = 900.0
"""Seconds, less up to a third by chance, after which a stream ends and its client has to say again who it is: tokens
expire, and people sign out. Browsers connect again by themselves, and are told what they missed."""
_DISCONNECT: Final = "websocket.disconnect"
_DONE: Final = 1000
_GOING_AWAY: Final = 1001
"""Codes with which a WebSocket is closed."""


class StreamRoutes:
    """`/jobs/{id}/events` and `/jobs/{id}/ws`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._open: set[object] = set()
        self._chance = clock.chance()

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="GET",
                path="/jobs/{id}/events",
                handler=self.events,
                summary="The job's record whenever it changes, as server-sent events; the last is named after its "
                "final state.",
                access=Access.FOLLOWERS,
                headers={"last-event-id": "the last event that was seen; what is the same is not sent again"},
                media=MEDIA,
                also={204: "it has ended, and the last event was seen: there is nothing more to come"},
            )
        ]

    @property
    def routes(self) -> list[BaseRoute]:
        """What is no operation: OpenAPI knows no WebSockets."""
        return [WebSocketRoute("/jobs/{id}/ws", self.socket)]

    @contextmanager
    def _follow(self, job: Job, seen: str | None) -> Iterator[Follower]:
        """Follow the job, as one of so many streams. Raises a 503 where there are too many."""
        if len(self._open) >= self._desk.config.max_streams:
            raise Problem(
                503,
                "too-many-streams",
                "as many streams are open here as may be; ask again, or read the record from time to time",
                headers=LATER,
            )
        place = object()
        self._open.add(place)
        try:
            with self._desk.hub.follow(job, None if job.finished else seen) as follower:
                life = _LIFE * (1 - self._chance.random() / 3)
                ending = asyncio.get_running_loop().call_later(life, follower.tell, Sign.CLOSED)
                try:
                    yield follower
                finally:
                    ending.cancel()
        finally:
            self._open.discard(place)

    async def events(self, request: Request) -> Response:
        """Server-sent events: the record as it is, and whenever it changes, until the job has ended."""
        reach = reach_of(request)
        job = await reach.job(request.path_params["id"])
        had = request.headers.get("last-event-id")
        if job.finished and had == News(job).id:
            # Browsers connect again after every end of a stream, until they are told that there is nothing more.
            return Response(status_code=204, headers={"cache-control": "no-store"})
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        return _EventStream(self._follow(job, had or _had(request)), _Feed(self._desk.presenter, reach.identity))

    async def socket(self, socket: WebSocket) -> None:
        """The same as messages `{"event": …, "data": …}` of a WebSocket."""
        await socket.accept()  # else no client would learn the code with which it is closed
        try:
            reach = reach_of(socket)
            job = await reach.job(socket.path_params["id"])
            with self._follow(job, _had(socket)) as follower, _listening(socket.receive, follower, _DISCONNECT):
                code = await _send_messages(socket, follower, _Feed(self._desk.presenter, reach.identity))
                await socket.close(code)
        except (WebSocketDisconnect, TimeoutError):
            return
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                raise
            await socket.close(4000 + problem.status, _short(problem.detail))


def _had(connection: HTTPConnection) -> str | None:
    """The id of what the client had last, where it says so in the query."""
    return connection.query_params.get("last_event_id")


class _Feed:
    """News as they go out to one identity; for all with the same, they are put into words once."""

    def __init__(self, presenter: Presenter, identity: Identity | None) -> None:
        self._presenter = presenter
        self._identity = identity

    def event(self, news: News) -> bytes:
        """A server-sent event."""
        return news.encoded(("event", self._identity), self._event)

    def message(self, news: News) -> str:
        """A WebSocket's message."""
        return news.encoded(("message", self._identity), self._message)

    def _event(self, news: News) -> bytes:
        return event(_name(news), self._record(news), news.id)

    def _message(self, news: News) -> str:
        return encoded({"event": _name(news), "data": self._record(news)}).decode()

    def _record(self, news: News) -> dict[str, Any]:
        record = self._presenter.job(news.job, self._identity)
        return record if news.position is None else {**record, "position": news.position}


def _name(news: News) -> str:
    return news.job.state.value if news.job.finished else "progress"


def _gone(follower: Follower) -> dict[str, str]:
    return {"id": follower.watched.news.job.id}


class _EventStream(Response):
    """An answer that goes on until the job has ended, or nobody listens."""

    def __init__(self, follow: AbstractContextManager[Follower], feed: _Feed) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._follow = follow
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        with self._follow as follower, _listening(receive, follower, "http.disconnect"):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with suppress(TimeoutError, OSError):  # it takes nothing in, or is not there any more
                await _send_part(send, RECONNECT)
                async for part in _parts(follower, self._feed):
                    await _send_part(send, part)
                await _send_part(send, b"", more=False)


async def _parts(follower: Follower, feed: _Feed) -> AsyncIterator[bytes]:
    while True:
        match await follower.next(_QUIET):
            case News() as news:
                yield feed.event(news)
                if news.job.finished:
                    return
            case Sign.QUIET:
                yield b": still here\n\n"
            case Sign.TROUBLE:
                yield b": the store of jobs cannot be reached now; this goes on by itself\n\n"
            case Sign.GONE:
                yield event("gone", _gone(follower))
                return
            case Sign.CLOSED:
                return


async def _send_part(send: Send, part: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(_STALLED):
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def _send_messages(socket: WebSocket, follower: Follower, feed: _Feed) -> int:
    """Returns the code with which to close."""
    while True:
        match await follower.next(_QUIET):
            case News() as news:
                await _send_message(socket, feed.message(news))
                if news.job.finished:
                    return _DONE
            case Sign.GONE:
                await _send_message(socket, encoded({"event": "gone", "data": _gone(follower)}).decode())
                return _DONE
            case Sign.CLOSED:
                return _GOING_AWAY
            case Sign.QUIET | Sign.TROUBLE:  # the protocol has pings of its own
                continue


async def _send_message(socket: WebSocket, text: str) -> None:
    async with asyncio.timeout(_STALLED):
        await socket.send_text(text)


@contextmanager
def _listening(receive: Receive, follower: Follower, end: str) -> Iterator[None]:
    """Notice when the client goes away: a message of type `end`. What else it says is not for us."""

    async def listen() -> None:
        while (await receive())["type"] != end:
            pass
        follower.tell(Sign.CLOSED)

    listening = asyncio.ensure_future(listen())
    try:
        yield
    finally:
        listening.cancel()


def _short(reason: str) -> str:
    """As much of it as fits into the frame that closes a WebSocket."""
    return reason.encode()[:120].decode(errors="ignore")
