"""Standing threads for sync tasks.

Threads take attempts from one queue and leave their endings in one list; the event loop is woken once for all that is
in the list. A future and a wake-up for each job would cost 20 times as much.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from queue import SimpleQueue

from stoker.job import Ending, Interrupted
from stoker.worker.attempt import Attempt, Done
from stoker.worker.run import run_sync


class Threads:
    """Up to `limit` threads, started as they are needed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._inbox: SimpleQueue[tuple[Attempt, Done] | None] = SimpleQueue()
        self._ended: deque[tuple[Attempt, Done, Ending]] = deque()
        self._woken = False
        self._outstanding = 0
        self._threads: list[threading.Thread] = []

    def start(self, attempt: Attempt, done: Done) -> None:
        """Run the attempt in a thread; `done` is called on the loop when it ended."""
        self._outstanding += 1
        if self._outstanding > len(self._threads) < self._limit:
            self._start_thread()
        if self._threads:
            self._inbox.put((attempt, done))
        else:
            self._outstanding -= 1
            self._loop.call_soon(done, attempt, Interrupted())

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"stoker-task-{len(self._threads)}", daemon=True)
        with suppress(RuntimeError):  # the interpreter is shutting down, and so will the worker
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Let the idle threads end. Those that still run a task are left to it."""
        for _ in self._threads:
            self._inbox.put(None)

    def _work(self) -> None:
        while (work := self._inbox.get()) is not None:
            attempt, done = work
            self._ended.append((attempt, done, run_sync(attempt)))
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:  # the loop is closed: the worker gave this job back and went
                    return

    def _collect(self) -> None:
        self._woken = False  # before the list is read: an ending that comes now wakes the loop again
        while self._ended:
            self._outstanding -= 1
            attempt, done, ending = self._ended.popleft()
            done(attempt, ending)
