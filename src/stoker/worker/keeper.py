"""Keeps the worker's lease, in a thread and on a connection of its own, so that a blocked event loop does not lose it.

The same thread sends progress and logs, hears orders, tells how attempts ended, gives back the jobs of dead workers,
prunes, and watches the loop.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from stoker import clock
from stoker.drivers.driver import Driver
from stoker.errors import StokerError
from stoker.events import JobsRecovered, LoopBlocked, Sink, StoreFailed
from stoker.job import Progress
from stoker.store import Command, Orders, Store, Worker
from stoker.worker.attempt import Attempt
from stoker.worker.tallying import Tallying

PULSE = 0.25
"""seconds between two looks for orders, and at most between a report of progress and its arrival"""
BLOCKED_AFTER = 1.0
"""seconds without a turn of the event loop that are reported"""
PRUNE_BATCH = 500
_FRAMES = 8
"""of the stack of a blocked loop: the innermost, where the task's code is"""


class Hearer(Protocol):
    """Who is told what the store ordered. Called on the event loop."""

    def ordered(self, orders: Orders) -> None:
        """Orders arrived: whenever there are any to cancel, and when the command is another than before."""
        ...

    def carried(self, attempts: Sequence[Attempt]) -> None:
        """What these logged is on its way no more: see `Keeper.carries`."""
        ...

    def lease_lost(self, worker: Worker) -> None:
        """The worker's lease ran out, or may have."""
        ...


class Keeper:
    """The lease and what goes with it."""

    def __init__(
        self,
        store: Store,
        driver: Driver,
        introduce: Callable[[], Worker],
        hearer: Hearer,
        emit: Sink,
        *,
        lease: float,
        chance: random.Random,
    ) -> None:
        self._store = store
        self._driver = driver
        self._introduce = introduce
        self._hearer = hearer
        self._emit = emit
        self._lease = lease
        self._chance = chance
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._bell = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._dirty: dict[int, Attempt] = {}
        self._carrying = threading.Lock()
        self._carried: dict[Attempt, bool] = {}
        """whose lines are on their way, and whether somebody waits for them to arrive"""
        self._heard: Command | None = None
        self.tallying = Tallying(store, driver)
        self._losing = threading.Lock()
        self._held_until = 0.0
        self._renew_at = 0.0
        self._tidy_at = 0.0
        self._beat_at = 0.0
        self._reported = False
        self.worker: Worker | None = None
        """the worker as it is registered; None while it is not"""
        self.reaches = True
        """whether the store answered the last time"""

    # --- from the loop ----------------------------------------------------------------------------------------------

    def register(self) -> Worker:
        """Make the worker known under a new id. Blocks; raises what the store raises."""
        worker = self._introduce()
        asked_at = clock.monotonic()
        self._driver.run(self._store.register(worker, clock.to_span(self._lease)))
        with self._losing:
            self._held_until = asked_at + self._lease
            self._renew_at = asked_at + self._lease / 3
            self._heard = None
            self.worker = worker
        return worker

    def holds(self, worker: Worker | None) -> bool:
        """Whether this worker's lease is held, as far as can be known without a look at the store."""
        return worker is not None and self.worker is worker and clock.monotonic() < self._held_until

    def lose(self, worker: Worker) -> bool:
        """Give this worker up, once: False where that has been done, and another may have taken its place."""
        with self._losing:
            if self.worker is not worker:
                return False
            self.worker = None
            return True

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to keep the lease. To be called on the loop."""
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._beat_at = clock.monotonic()
        thread = threading.Thread(target=self._run, name="stoker-keeper", daemon=True)
        with suppress(RuntimeError):  # the interpreter is shutting down already, and the worker will at once
            thread.start()
            self._thread = thread

    def beat(self) -> None:
        """The loop turns."""
        self._beat_at = clock.monotonic()
        self._reported = False

    def report(self, attempt: Attempt) -> None:
        """The attempt's task said something. From any thread; never blocks."""
        self._dirty[attempt.claim.ref] = attempt
        context = attempt.said
        if context is not None and context.pressing:
            context.pressing = False
            self._bell.set()  # a checkpoint is worth a trip of its own; the progress after it is not

    def carries(self, attempt: Attempt) -> bool:
        """Whether lines of an attempt that has ended are on their way to the store, so that its outcome must wait.

        If so, `Hearer.carried` is told when they are not: they have arrived, or can be sent with the outcome.
        """
        with self._carrying:
            if attempt not in self._carried:
                return False
            self._carried[attempt] = True
            return True

    def stop(self) -> None:
        """End the thread; the worker is forgotten by the store."""
        self._stopped = True
        self._bell.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(Exception):  # statistics: the end does not wait for them
            self.tallying.tell(clock.monotonic())
        if self.worker is not None:
            with suppress(StokerError):  # its lease runs out by itself
                self._driver.run(self._store.retire(self.worker.id))
        self._driver.close()

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            self._bell.wait(PULSE)
            self._bell.clear()
            if not self._stopped:
                try:
                    self._pulse()
                except Exception as error:  # noqa: BLE001 - whatever it is, the lease must be kept
                    self._emit(StoreFailed(error, 0))

    def _pulse(self) -> None:
        now = clock.monotonic()
        self._watch_loop(now)
        worker = self.worker
        if worker is None:
            return  # lost; the loop registers anew
        try:
            orders = self._exchange_words(worker, now)
        except Exception as error:  # noqa: BLE001 - a store may fail in any way
            self.reaches = False
            self._emit(StoreFailed(error, 0))
            if clock.monotonic() >= self._held_until:
                self._lost(worker)
            return
        self.reaches = True
        if not orders.alive:
            self._lost(worker)
            return
        if orders.cancel or orders.command is not self._heard:
            self._heard = orders.command
            self._tell(lambda: self._order(worker, orders))
        if self.tallying.due(now):
            self._tell_tallies(now)
        if now >= self._tidy_at:
            self._tidy(now)

    def _order(self, worker: Worker, orders: Orders) -> None:
        """On the loop: pass orders on, if they are still this worker's. Another, that it became, may have been told
        otherwise."""
        if self.worker is worker:
            self._hearer.ordered(orders)

    def _exchange_words(self, worker: Worker, now: float) -> Orders:
        """Renew the lease when a third of it is gone, send news if there are any, and hear."""
        reports = self._gather()
        renew = now >= self._renew_at
        if not renew and not reports:
            return self._driver.run(self._store.hear(worker.id))
        lease = clock.to_span(self._lease) if renew else None
        try:
            orders = self._driver.run(self._store.heartbeat(worker.id, [report for _, report in reports], lease))
        except StokerError:  # anything else may be the fault of what a task said: that is dropped, the lease is not
            for attempt, said in reports:
                self._dirty.setdefault(attempt.claim.ref, attempt)
                if said.log is not None:
                    attempt.context.put_log_back()
            raise
        finally:
            self._arrived()
        if renew and orders.alive:
            # Counted from when it was asked, so that this worker gives up before the store gives away.
            with self._losing:
                if self.worker is worker:
                    self._held_until = now + self._lease
                    self._renew_at = now + self._lease / 3
        return orders

    def _gather(self) -> list[tuple[Attempt, Progress]]:
        reports = []
        with self._carrying:
            while self._dirty:
                _, attempt = self._dirty.popitem()
                context = attempt.said
                if context is not None and not attempt.ended:
                    claim, log = attempt.claim, context.take_log()
                    if log is not None:
                        self._carried[attempt] = False
                    said = Progress(claim.ref, claim.fence, context.value, context.message, context.saved, log)
                    reports.append((attempt, said))
        return reports

    def _arrived(self) -> None:
        """Nothing is on its way any more; say so to who waits for that."""
        with self._carrying:
            awaited = [attempt for attempt, waits in self._carried.items() if waits]
            self._carried.clear()
        if awaited:
            self._tell(lambda: self._hearer.carried(awaited))

    def _tell_tallies(self, now: float) -> None:
        try:
            self.tallying.tell(now)
        except Exception as error:  # noqa: BLE001 - a store may fail in any way; the lease has nothing to do with it
            self._emit(StoreFailed(error, 0))

    def _tidy(self, now: float) -> None:
        """Give back the jobs of dead workers, and prune. Any process may; at odd times, so that not all do at once."""
        try:
            found = self._driver.run(self._store.recover())
            if found.queued or found.failed:
                self._emit(JobsRecovered(found.queued, found.failed))
            pruned = self._driver.run(self._store.prune(PRUNE_BATCH))
        except StokerError as error:
            self._emit(StoreFailed(error, 0))
            pruned = 0
        busy = pruned >= PRUNE_BATCH
        self._tidy_at = now if busy else now + min(self._lease / 3, 5.0) * (0.5 + self._chance.random())

    def _lost(self, worker: Worker) -> None:
        if self.lose(worker):
            self._tell(lambda: self._hearer.lease_lost(worker))

    def _watch_loop(self, now: float) -> None:
        blocked = now - self._beat_at
        if blocked < BLOCKED_AFTER or self._reported:
            return
        self._reported = True
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the only way to see another thread
        if frame is not None:
            self._emit(LoopBlocked(blocked, "".join(traceback.format_stack(frame)[-_FRAMES:])))

    def _tell(self, what: Callable[[], None]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # the loop is closed; the worker is gone
