"""Wires that wait to be used, by all threads and event loops of a process."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from weakref import WeakKeyDictionary

from stoker.drivers.redis.locator import Locator
from stoker.drivers.redis.wire import Wire


class Pool:
    """Opens wires, and keeps those that nobody uses."""

    def __init__(self, locator: Locator, size: int) -> None:
        self._locator = locator
        self._size = size
        self._idle: deque[Wire] = deque()
        self._open: set[Wire] = set()
        self._lock = threading.Lock()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._closed = False
        self.turn = threading.BoundedSemaphore(size)
        """to be held by a thread that uses a wire; each loop has its own `loop_turn`"""

    def loop_turn(self) -> asyncio.Semaphore:
        """The same for calls on the running event loop."""
        loop = asyncio.get_running_loop()
        turn = self._loops.get(loop)
        if turn is None:
            with self._lock:
                turn = self._loops.setdefault(loop, asyncio.Semaphore(self._size))
        return turn

    def take(self) -> Wire | None:
        """An idle wire that is fit for use; None: one must be opened."""
        while self._idle:
            try:
                wire = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if wire.term == self._locator.term and not wire.is_stale():
                return wire
            self.drop(wire)
        return None

    def open(self) -> Wire:
        """A new wire. Blocks; raises `OSError` and `hiredis.ReplyError`."""
        wire = self._locator.open()
        with self._lock:
            self._open.add(wire)
        return wire

    def give_back(self, wire: Wire) -> None:
        """Keep a wire for the next call; it must be whole."""
        if self._closed or len(self._idle) >= self._size or wire.term != self._locator.term:
            self.drop(wire)
        else:
            self._idle.append(wire)

    def drop(self, wire: Wire) -> None:
        """Close a wire."""
        with self._lock:
            self._open.discard(wire)
        wire.close()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        self._closed = True
        while self._idle:
            self.drop(self._idle.pop())
