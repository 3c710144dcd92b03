"""The scheduler: looks for ticks that are due, and enqueues them. In a thread, on connections of its own.

There is no leader. Any number of schedulers look at the same schedules; of all that decide about one tick, the first
to write it has decided, and for the others nothing was due.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from stoker import clock
from stoker.clock import SECOND
from stoker.declarations import Declarations
from stoker.drivers.driver import Driver
from stoker.engine import Engine
from stoker.errors import AppClosed
from stoker.events import (
    ScheduleFailed,
    SchedulerDied,
    SchedulerStarted,
    SchedulerStopped,
    Sink,
    StoreBack,
    StoreFailed,
)
from stoker.job import LIVE, Inserted
from stoker.schedule import Put, Schedule
from stoker.schedule_store import Schedules
from stoker.store import Filter, Page, Store
from stoker.timing import ticks
from stoker.timing.definition import BY_HAND, Document, read

LOOK: Final = 2.0
"""Seconds between two looks at most, to see what others have added."""
BATCH: Final = 500
"""Schedules that are decided together, and jobs that are enqueued in one transaction, about."""
_PARTING: Final = 10.0
"""Seconds that a look under way gets to end; a store that never answers must not keep a process from its end."""


class Scheduler:
    """A scheduler in this process: `start()`, and `stop()` at the end. It writes nothing but ticks."""

    def __init__(self, engine: Engine, declared: Declarations, emit: Sink) -> None:
        self._engine = engine
        self._declared = declared
        self._emit = emit
        self._chance = clock.chance()
        self._bell = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._died: Callable[[], None] | None = None
        self._seen = -1
        self._begun = False
        self._failures = 0
        self._broken: dict[str, int] = {}
        self._refused: set[str] = set()
        self.error: BaseException | None = None
        """what ended it, if it was not told to stop"""

    # --- what others may ask ----------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether it looks after the schedules now."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, died: Callable[[], None] | None = None) -> None:
        """Begin, in a thread. `died` is called there if it ends without having been told to."""
        self._died = died
        self._thread = threading.Thread(target=self._run, name="stoker-scheduler", daemon=True)
        with suppress(RuntimeError):  # the interpreter is shutting down already
            self._thread.start()

    def wake(self) -> None:
        """Look now: something was declared or changed."""
        self._bell.set()

    def stop(self) -> None:
        """End the thread. A decision under way is made or not made, never half."""
        self._stopped = True
        self._bell.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(_PARTING)

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        driver: Driver | None = None
        try:
            if not self._engine.connection.store.traits.shared:
                self._engine.open()  # in a forked child, this is a memory of its own
            driver = self._engine.connection.driver.sibling()
            while not self._stopped and self._wanted():
                pause = self._look_safely(self._engine.connection.store, driver)
                self._bell.wait(pause)
                self._bell.clear()
        except AppClosed:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, somebody must hear of it
            self.error = error
            self._emit(SchedulerDied(error))
            if self._died is not None:
                self._died()
        finally:
            if driver is not None:
                driver.close()
            if self._begun:
                self._emit(SchedulerStopped())

    def _wanted(self) -> bool:
        """Whether there is anybody to enqueue for: where this very process runs the jobs, its main program goes on."""
        return self._engine.local is None or threading.main_thread().is_alive()

    def _look_safely(self, store: Store, driver: Driver) -> float:
        """A look; how many seconds from now on nothing is to be done."""
        try:
            if not self._begun or self._declared.version != self._seen:
                self._take_up(store, driver)
            due_in = self._look(store, driver)
        except AppClosed:
            raise
        except Exception as error:  # noqa: BLE001 - a store may fail in any way, and comes back
            self._failures += 1
            self._emit(StoreFailed(error, 0))
            pause: float = min(LOOK, 0.05 * 2.0 ** min(self._failures, 6)) * (0.5 + self._chance.random())
            return pause
        if self._failures:
            self._emit(StoreBack(self._failures))
            self._failures = 0
        return due_in

    def _look(self, store: Store, driver: Driver) -> float:
        asked = clock.monotonic()
        found = driver.run(store.schedules.due(BATCH + len(self._broken)))
        due = [schedule for schedule in found.schedules if self._broken.get(schedule.name) != schedule.version]
        if due:
            self._decide(store, driver, due, found.now)
            return 0.0
        if found.due_in is None:
            return LOOK
        due_in = found.due_in if found.due_in or not found.schedules else self._sound_in(store, driver)
        return max(0.0, min(LOOK, due_in / SECOND - (clock.monotonic() - asked)))

    def _sound_in(self, store: Store, driver: Driver) -> int:
        """The span until the next tick of a schedule that can be read, where some cannot."""
        found = driver.run(store.schedules.read())
        sound = (one.next_at for one in found.schedules if self._broken.get(one.name) != one.version)
        return max(0, min((at for at in sound if at is not None), default=found.now + 10 * SECOND) - found.now)

    def _decide(self, store: Store, driver: Driver, due: Sequence[Schedule], now: int) -> None:
        documents = {schedule.name: document for schedule in due if (document := self._readable(schedule)) is not None}
        live = self._live(store, driver, documents.values())
        puts = []
        for schedule in due:
            if schedule.name in documents:
                try:
                    puts.append(ticks.tick(schedule, documents[schedule.name], now, live))
                except ValueError as error:  # an expression that only another version knows
                    self._set_aside(schedule, error)
        self._put(store, driver, puts)

    def _put(self, store: Store, driver: Driver, puts: Sequence[Put]) -> bool:
        """Write decisions, about `BATCH` jobs in a transaction; whether nobody else had decided any of them."""
        batch: list[Put] = []
        alone = True
        jobs = 0
        for put in puts:
            batch.append(put)
            jobs += len(put.jobs)
            if jobs >= BATCH:
                alone = self._write(store, driver, batch) and alone
                batch, jobs = [], 0
        return (not batch or self._write(store, driver, batch)) and alone

    def _write(self, store: Store, driver: Driver, puts: Sequence[Put]) -> bool:
        kept = [Put(put.schedule, tuple(self._engine.as_kept(put.jobs))) for put in puts]
        written: list[bool] = driver.run(store.schedules.put(kept))
        made = [Inserted(job.id, True) for put, ours in zip(kept, written, strict=True) if ours for job in put.jobs]
        if made and self._engine.local is not None and not self._stopped:
            with suppress(RuntimeError):  # the interpreter is shutting down, and starts no more threads
                self._engine.local.added(made)
        return all(written)

    def _live(self, store: Store, driver: Driver, documents: Iterable[Document]) -> frozenset[str]:
        """Which of the jobs that may hold up a tick are unfinished."""
        ids = [id for document in documents for id in ticks.asks(document)]
        found: set[str] = set()
        for start in range(0, len(ids), BATCH):
            some = tuple(ids[start : start + BATCH])
            jobs = driver.run(store.find(Filter(ids=some, states=tuple(sorted(LIVE))), Page(len(some))))
            found.update(job.id for job in jobs)
        return frozenset(found)

    def _readable(self, schedule: Schedule) -> Document | None:
        try:
            return read(schedule)
        except ValueError as error:
            self._set_aside(schedule, error)
            return None

    def _set_aside(self, schedule: Schedule, error: Exception) -> None:
        """Say once that this schedule cannot be served here, and go on with the others."""
        if self._broken.get(schedule.name) != schedule.version:
            self._broken[schedule.name] = schedule.version
            self._emit(ScheduleFailed(schedule.name, error))

    def _refuse(self, name: str, error: Exception) -> None:
        """Say once that a declaration is not taken up. What the store has under that name fires as before."""
        if name not in self._refused:
            self._refused.add(name)
            self._emit(ScheduleFailed(name, error))

    # --- declarations -----------------------------------------------------------------------------------------------

    def _take_up(self, store: Store, driver: Driver) -> None:
        """Write what is declared where it differs; at first, also retire what is declared no more."""
        if driver.run(store.pending()):  # by this driver, so that a scheduler alone has one connection
            driver.run(store.migrate())
        version = self._declared.version
        for _ in range(100):  # those who write at the same time have less to write every time
            found = driver.run(store.schedules.read())
            puts = self._changes(found)
            written: list[bool] = []
            for start in range(0, len(puts), BATCH):  # so that nobody waits long for the store
                some: list[bool] = driver.run(store.schedules.put(puts[start : start + BATCH]))
                written += some
            if all(written):
                break
        if not self._begun:
            self._begin(store, driver)
            self._begun = True
            self._emit(SchedulerStarted(driver.place, len(self._declared)))
        self._seen = version

    def _changes(self, found: Schedules) -> list[Put]:
        known = ticks.by_name(found.schedules)
        declared = self._declared.all()
        puts = [] if self._begun else ticks.to_retire(found.schedules, declared, self._declared.origins)
        for name, definition in declared.items():
            if isinstance(definition, Exception):
                self._refuse(name, definition)
                continue
            schedule = known.get(name)
            if schedule is not None and not ticks.may_take(schedule, self._declared.origins):
                self._refuse(name, ValueError("another app, or another version, has a schedule of that name"))
                continue
            put = ticks.declare(name, schedule, definition, found.now)
            if put is not None:
                puts.append(put)
        return puts

    def _begin(self, store: Store, driver: Driver) -> None:
        """Run what is to run on a start: of this app, and what was made by hand."""
        for _ in range(100):
            found = driver.run(store.schedules.read())
            puts = [put for schedule in found.schedules if (put := self._first_run(schedule, found.now)) is not None]
            if self._put(store, driver, puts):
                return

    def _first_run(self, schedule: Schedule, now: int) -> Put | None:
        document = self._readable(schedule)
        if document is None or document.definition.origin not in {BY_HAND, *self._declared.origins}:
            return None
        return ticks.begin(schedule, now, self._engine.new_ids())
