"""The mode `async`: jobs run in the background of this very process, in a thread with an event loop of its own.

It needs nothing: no store, no server, no configuration. When the program ends, running jobs get the grace, and what is
not finished then is named in the log.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from stoker.job import Inserted
from stoker.worker.loop import WorkerLoop
from stoker.worker.looping import run_loop

_LOOK = 0.1
"""seconds between two looks whether the main thread has ended"""


class Background:
    """A worker in a thread of this process, started with the first job."""

    def __init__(self, make_worker: Callable[[], WorkerLoop], grace: float) -> None:
        self._make_worker = make_worker
        self._grace = grace
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: WorkerLoop | None = None
        self._pid = os.getpid()

    def added(self, jobs: Sequence[Inserted]) -> None:
        """See `Local.added`."""
        if self._pid != os.getpid():  # the thread stayed in the parent
            self._lock, self._thread, self._up, self._pid = threading.Lock(), None, threading.Event(), os.getpid()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    # Not a daemon: the interpreter waits for it, and it looks whether the main thread has ended.
                    self._thread = threading.Thread(target=self._run, name="stoker-background")
                    self._thread.start()

    async def aadded(self, jobs: Sequence[Inserted]) -> None:
        """See `Local.aadded`."""
        self.added(jobs)

    def close(self, grace: float) -> None:
        """See `Local.close`."""
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return
        self._grace = grace
        self._up.wait()
        loop, worker = self._loop, self._worker
        if loop is not None and worker is not None:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(worker.stop, grace)
        if thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        try:
            run_loop(self._serve(), asyncio.new_event_loop)
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self._worker = self._make_worker()
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._up.set)  # once the worker serves, and so can be told to stop
        watching = asyncio.ensure_future(self._watch(self._worker))
        try:
            await self._worker.serve()
        finally:
            watching.cancel()

    async def _watch(self, worker: WorkerLoop) -> None:
        while threading.main_thread().is_alive():  # noqa: ASYNC110 - a thread's end sets no event of ours
            await asyncio.sleep(_LOOK)
        worker.stop(self._grace)
