"""The streams of a job: server-sent events and WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from stoker import clock
from stoker.job import Job
from stoker.web.desk import Desk
from stoker.web.event_stream import STALLED, EventStream, Parts, listening
from stoker.web.follower import Follower, Sign
from stoker.web.identity import Identity
from stoker.web.news import News
from stoker.web.operation import Access, Operation
from stoker.web.present import Presenter, encoded
from stoker.web.problem import problem_of
from stoker.web.reach import reach_of
from stoker.web.server_sent import HEADERS, MEDIA, event

_QUIET: Final = 15.0
"""Seconds of silence after which a stream says that it lives, so that nothing between takes it for dead."""
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
        with self._desk.streams.held(), self._desk.hub.follow(job, None if job.finished else seen) as follower:
            life = _LIFE * (1 - self._chance.random() / 3)
            ending = asyncio.get_running_loop().call_later(life, follower.tell, Sign.CLOSED)
            try:
                yield follower
            finally:
                ending.cancel()

    @contextmanager
    def _told(self, job: Job, seen: str | None, feed: _Feed) -> Iterator[Parts]:
        with self._follow(job, seen) as follower:
            yield _parts(follower, feed)

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
        return EventStream(self._told(job, had or _had(request), _Feed(self._desk.presenter, reach.identity)))

    async def socket(self, socket: WebSocket) -> None:
        """The same as messages `{"event": …, "data": …}` of a WebSocket."""
        await socket.accept()  # else no client would learn the code with which it is closed
        try:
            reach = reach_of(socket)
            job = await reach.job(socket.path_params["id"])
            with (
                self._follow(job, _had(socket)) as follower,
                listening(socket.receive, _DISCONNECT, partial(follower.tell, Sign.CLOSED)),
            ):
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


async def _parts(follower: Follower, feed: _Feed) -> Parts:
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
    async with asyncio.timeout(STALLED):
        await socket.send_text(text)


def _short(reason: str) -> str:
    """As much of it as fits into the frame that closes a WebSocket."""
    return reason.encode()[:120].decode(errors="ignore")
