"""Hears that there is work: LISTEN on a connection of its own, which it keeps alive and sees to that it can hear."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg import AsyncConnection, sql

from stoker import clock
from stoker.drivers.driver import Hint
from stoker.drivers.postgres.pool import Terms

_PULSE: Final = 10.0
"""Seconds of silence after which the server is asked whether it is there, and how long it may take to answer."""
_HEARING: Final = 2.0
"""Seconds in which its own notification must come back."""
_BLIND: Final = 0.25
"""Seconds between two hints where nothing can be heard."""
_DEAF: Final = 300.0
"""Seconds after which a pooler in between is tried again."""


class Ear:
    """Calls `hint` on the loop whenever the channel is notified, and once after every silence it may have missed."""

    def __init__(
        self, terms: Terms, channel: str, loop: asyncio.AbstractEventLoop, hint: Hint, *, listens: bool
    ) -> None:
        self._terms = terms
        self._channel = channel
        self._hint = hint
        self._chance: random.Random = clock.chance()
        self._task = loop.create_task(self._listen() if listens else self._hint_blindly(None))

    def stop(self) -> None:
        """Hear no more. On the loop."""
        self._task.cancel()

    async def _listen(self) -> None:
        pause = 0.1
        while True:
            try:
                async with self._connected() as connection:
                    pause = 0.1
                    if await self._can_hear(connection):
                        self._hint()
                        await self._hear(connection)
                await self._hint_blindly(_DEAF)
            except (psycopg.Error, OSError, TimeoutError):
                await asyncio.sleep(pause * (0.5 + self._chance.random()))
                pause = min(2.0, pause * 2)

    async def _hint_blindly(self, seconds: float | None) -> None:
        until = None if seconds is None else clock.monotonic() + seconds
        while until is None or clock.monotonic() < until:
            await asyncio.sleep(_BLIND)
            self._hint()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        connection = await AsyncConnection.connect(**self._terms.arguments)
        try:
            yield connection
        finally:
            connection.pgconn.finish()

    async def _can_hear(self, connection: AsyncConnection) -> bool:
        """Listen, and see whether a notification comes through: a pooler swallows it."""
        own = f"{self._channel}_{self._chance.getrandbits(64):x}"
        for channel in (self._channel, own):
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        await connection.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(own)))
        until = clock.monotonic() + _HEARING
        heard = False
        while not heard and (left := until - clock.monotonic()) > 0:
            async for notification in connection.notifies(timeout=left, stop_after=1):
                heard = heard or notification.channel == own
        await connection.execute(sql.SQL("UNLISTEN {}").format(sql.Identifier(own)))
        return heard

    async def _hear(self, connection: AsyncConnection) -> None:
        while True:
            heard = False
            async for _ in connection.notifies(timeout=_PULSE, stop_after=1):
                heard = True
                self._hint()
            if not heard:
                async with asyncio.timeout(_PULSE):
                    await connection.execute("SELECT 1")
