"""An answer of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stoker.web.server_sent import HEADERS, RECONNECT

STALLED: Final = 30.0
"""Seconds for which a client may take nothing in before its stream is given up."""

Parts = AsyncGenerator[bytes]


class EventStream(Response):
    """An answer that goes on until its parts end, or nobody listens, or nobody takes in what is sent.

    `opened` is entered before the answer starts, so that it can refuse with a problem, and left however it ends.
    """

    def __init__(self, opened: AbstractContextManager[Parts]) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        with self._opened as parts:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with suppress(TimeoutError, OSError):  # it takes nothing in, or is not there any more
                async with asyncio.timeout(None) as listened, aclosing(parts):
                    now = asyncio.get_running_loop().time
                    with listening(receive, "http.disconnect", lambda: listened.reschedule(now())):
                        await _send_all(send, parts)


async def _send_all(send: Send, parts: Parts) -> None:
    await _send_part(send, RECONNECT)
    async for part in parts:
        await _send_part(send, part)
    await _send_part(send, b"", more=False)


async def _send_part(send: Send, part: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(STALLED):
        await send({"type": "http.response.body", "body": part, "more_body": more})


@contextmanager
def listening(receive: Receive, end: str, gone: Callable[[], None]) -> Iterator[None]:
    """Notice when the client goes away: a message of type `end`. What else it says is not for us."""

    async def listen() -> None:
        while (await receive())["type"] != end:
            pass
        gone()

    task = asyncio.ensure_future(listen())
    try:
        yield
    finally:
        task.cancel()
