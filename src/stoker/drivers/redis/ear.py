"""Hears wake-ups on a connection of its own, and makes sure that it is not deaf."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

import hiredis

from stoker import clock
from stoker.drivers.aside import in_thread
from stoker.drivers.driver import Hint
from stoker.drivers.redis.locator import Locator
from stoker.drivers.redis.wire import Wire, expect, packed

_QUIET: Final = 10.0
"""Seconds of silence after which the connection is tried."""
_PAUSES: Final = (0.05, 2.0)
"""Seconds between two tries to connect: the first pause, which doubles, and the longest."""

_LOST: Final = (OSError, hiredis.ReplyError)


class Ear:
    """Calls `hint` for every message on the channel, and after each new connection, before which any may be lost."""

    def __init__(self, locator: Locator, channel: str, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._locator = locator
        self._channel = channel
        self._hint = hint
        self._chance = clock.chance()
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._stopped = False
        self._task = loop.create_task(self._listen())

    def stop(self) -> None:
        """Hear no more."""
        with self._lock:
            self._stopped = True
        if not self._task.get_loop().is_closed():
            self._task.cancel()
        else:
            self._hang_up()

    async def _listen(self) -> None:
        pause = _PAUSES[0]
        try:
            while not self._stopped:
                try:
                    wire = await in_thread(self._connect)
                    pause = _PAUSES[0]
                    self._hint()
                    await self._hear(wire)
                except _LOST:
                    self._locator.forget()
                self._hang_up()
                await asyncio.sleep(pause * (0.5 + self._chance.random()))
                pause = min(_PAUSES[1], pause * 2)
        finally:
            self._hang_up()

    async def _hear(self, wire: Wire) -> None:
        while True:
            try:
                await wire.ahear(_QUIET)
            except TimeoutError:
                await wire.acall(packed("PING"), self._locator.address.timeout)
            else:
                self._hint()

    def _connect(self) -> Wire:
        """In a thread: a wire that is subscribed. Nobody may be there any more who would close it."""
        wire = self._locator.open()
        try:
            expect(wire, self._locator.address, "SUBSCRIBE", self._channel)
        except BaseException:
            wire.close()
            raise
        with self._lock:
            if self._stopped:
                wire.close()
            self._wire = wire
        return wire

    def _hang_up(self) -> None:
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
