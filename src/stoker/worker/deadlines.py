"""One timer for all attempts that may time out."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from stoker import clock
from stoker.worker.attempt import TIMED_OUT, Attempt

_SWEEP = 1000


class Deadlines:
    """Tells attempts to stop when their time is over. A heap and one timer, however many attempts run."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Attempt]] = []
        self._serial = itertools.count()
        self._stale = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, attempt: Attempt, span: int) -> None:
        """Give the attempt that span from now on."""
        at = self._loop.time() + span / clock.SECOND
        heapq.heappush(self._heap, (at, next(self._serial), attempt))
        if self._heap[0][2] is attempt:
            self._arm()

    def sweep(self) -> None:
        """One more attempt has ended. Such are swept out once they are the greater part of the heap."""
        self._stale += 1
        if self._stale >= _SWEEP and self._stale > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if not entry[2].ended]
            heapq.heapify(self._heap)
            self._stale = 0

    def close(self) -> None:
        """Forget all of them."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._heap[0][0], self._ring) if self._heap else None

    def _ring(self) -> None:
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            attempt = heapq.heappop(self._heap)[2]
            if not attempt.ended:
                attempt.stop(TIMED_OUT)
        self._arm()
