"""Hears from the server that there may be work."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any, Final

from redis.client import PubSub

from stoker import clock
from stoker.drivers.driver import Hint
from stoker.drivers.redis.server import Server

_QUIET: Final = 10.0
"""Seconds without a word after which the server is asked whether it is still there."""
_PAUSES: Final = (0.1, 2.0)
"""Seconds before a new connection is tried, the first time and at most."""


class Ear:
    """A thread that is subscribed to a channel, and calls `hint` on the loop at every word.

    It hints once for every new connection, before which any word may have been lost.
    """

    def __init__(self, server: Server, channel: str, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._server = server
        self._channel = channel
        self._loop = loop
        self._hint = hint
        self._chance = clock.chance()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._subscriber: PubSub | None = None
        self._thread = threading.Thread(target=self._run, name="stoker-redis-ear", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hear no more."""
        self._stopped.set()
        with self._lock:
            connection: Any = self._subscriber.connection if self._subscriber is not None else None
        if connection is not None:
            with suppress(Exception):
                connection.disconnect()  # wakes the thread, which may be reading
        self._thread.join(self._server.address.timeout)

    def _run(self) -> None:
        pause = _PAUSES[0]
        while not self._stopped.is_set():
            try:
                subscriber = self._server.subscriber()
                with self._lock:
                    self._subscriber = subscriber
                try:
                    subscriber.subscribe(self._channel)
                    pause = _PAUSES[0]
                    self._hear(subscriber)
                finally:
                    subscriber.close()
            except Exception:  # noqa: BLE001 - a connection may raise anything that is closed while it is read from
                self._stopped.wait(pause * (0.5 + self._chance.random()))
                pause = min(_PAUSES[1], pause * 2)

    def _hear(self, subscriber: PubSub) -> None:
        """Until it breaks. The first word is the server's answer to the subscription."""
        asked = False
        while not self._stopped.is_set():
            word = subscriber.get_message(timeout=_QUIET)
            if word is not None:
                asked = False
                if word["type"] != "pong":
                    self._tell()
            elif asked:
                raise ConnectionError("the server says nothing any more")
            else:
                asked = True
                subscriber.ping()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._hint)
