"""What an app does to its store: it opens it when it is first needed, inserts jobs, runs plans, waits for ends.

It knows nothing of the decorators and handles that people use; those hold an engine.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from stoker import clock
from stoker.batcher import Batcher
from stoker.call import Call
from stoker.connect import Connection, connect
from stoker.drivers.aside import in_thread
from stoker.drivers.borrowed import borrow
from stoker.drivers.driver import Driver
from stoker.errors import AppClosed, ConfigError, JobNotFound, StoreUnavailable, TaskError
from stoker.job import Inserted, Job, NewJob
from stoker.options import KEEP_FOR
from stoker.plan import Plan, Steps
from stoker.settings import Settings
from stoker.store import Filter, Page
from stoker.task import Registry
from stoker.watcher import FIRST_LOOK, LONGEST_PAUSE, Watcher

T = TypeVar("T")

Script = Generator[Plan[Any], Any, T]
"""Several plans, each a transaction of its own, as one piece of code for sync and async callers."""

_KEPT_IN_MEMORY = 600 * clock.SECOND
"""How long finished jobs are kept in this process's memory, if their task does not say."""


class Local(Protocol):
    """Runs jobs in this very process: the modes `async` and `foreground`."""

    def added(self, jobs: Sequence[Inserted]) -> None:
        """Jobs were enqueued from sync code."""
        ...

    async def aadded(self, jobs: Sequence[Inserted]) -> None:
        """Jobs were enqueued from async code."""
        ...

    def close(self, grace: float) -> None:
        """Let running jobs end within the grace (seconds)."""
        ...


class Engine:
    """A store in use."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        self.local: Local | None = None
        self.new_ids = clock.IdSource()
        self.staffed = False
        """whether this process was started to run the app's parts, so that `lifespan` has none to start"""
        self.partings: list[Callable[[], object]] = []
        """what ends streams that would never end by themselves"""
        self._lock = threading.Lock()
        self._connection = self._connect()
        self._ready = False
        self._closed = False
        self._pid = os.getpid()
        self._secret: str | None = None
        self._asides: list[Driver] = []
        self._batchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Batcher] = WeakKeyDictionary()
        self._openings: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self._watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()

    def adopt(self, local: Local, connection: Connection | None = None) -> None:
        """Have jobs run in this process."""
        self.local = local
        self._connection = connection or self._connection

    def _connect(self) -> Connection:
        return connect("memory://" if self.settings.mode != "queue" else self.settings.url)

    @property
    def connection(self) -> Connection:
        """The store and its driver; opened or not."""
        return self._connection

    def aside(self) -> Driver:
        """A driver of the same place with connections of its own, for who asks much; it is closed with the app."""
        made = self._connection.driver.sibling()
        self._asides.append(made)
        return made

    # --- opening and closing ----------------------------------------------------------------------------------------

    def open(self) -> Connection:
        """The store, ready for use. Raises `AppClosed`, and what the store raises."""
        self._check()
        if not self._ready:
            with self._lock:
                if not self._ready:
                    store, driver = self._connection
                    if driver.run(store.pending()):  # else nothing is written: a caller's transaction may be open
                        driver.run(store.migrate())
                    self._ready = True
        return self._connection

    async def aopen(self) -> Connection:
        """The same, from async code."""
        self._check()
        if not self._ready:
            await asyncio.shield(self._opening())  # others wait for it as well
        return self._connection

    def _opening(self) -> asyncio.Task[None]:
        """Of many coroutines that come first, one asks the store, and all get its answer."""
        loop = asyncio.get_running_loop()
        opening = self._openings.get(loop)
        if opening is None:
            opening = self._openings[loop] = loop.create_task(self._open_now())
            opening.add_done_callback(self._opened)
        return opening

    def _opened(self, opening: asyncio.Task[None]) -> None:
        self._openings.pop(opening.get_loop(), None)
        if not opening.cancelled():
            opening.exception()  # told to those who wait; there may be none left

    async def _open_now(self) -> None:
        store, driver = self._connection
        if await driver.arun(store.pending()):
            await driver.arun(store.migrate())
        self._ready = True

    def _check(self) -> None:
        if self._closed:
            raise AppClosed("this app was closed; make a new Stoker, or close it later")
        if self._pid != os.getpid():
            self._begin_anew()

    def _begin_anew(self) -> None:
        """In a forked child: nothing of the parent's connections, threads and jobs may be used here."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._batchers = WeakKeyDictionary()
        self._openings = {}
        self._watchers = WeakKeyDictionary()
        if not self._connection.store.traits.shared:
            self._connection = self._connect()
            self._ready = False
            self._secret = None

    def close(self) -> None:
        """Let local jobs end within the grace, and close every connection. More calls raise `AppClosed`."""
        if self._closed:
            return
        if self.local is not None:
            self.local.close(self.settings.grace)
        self._closed = True
        for driver in (*self._asides, self._connection.driver):
            driver.close()

    def part(self) -> None:
        """End every stream: the server that they come from is about to stop. On its loop."""
        for end in self.partings:
            end()

    # --- plans ------------------------------------------------------------------------------------------------------

    def run(self, plan: Plan[T]) -> T:
        """Run one plan."""
        return self.open().driver.run(plan)

    async def arun(self, plan: Plan[T]) -> T:
        """Run one plan from async code."""
        return await (await self.aopen()).driver.arun(plan)

    def play(self, script: Script[T]) -> T:
        """Run a script of plans."""
        try:
            plan = next(script)
            while True:
                plan = script.send(self.run(plan))
        except StopIteration as done:
            result: T = done.value
            return result

    async def aplay(self, script: Script[T]) -> T:
        """Run a script of plans from async code."""
        try:
            plan = next(script)
            while True:
                plan = script.send(await self.arun(plan))
        except StopIteration as done:
            result: T = done.value
            return result

    # --- inserting --------------------------------------------------------------------------------------------------

    def _new_jobs(self, calls: Sequence[Call]) -> list[NewJob]:
        for call in calls:
            self.check_importable(call)
        ids = self.new_ids.take(len(calls))
        return [call.new_job(id) for call, id in zip(calls, ids, strict=True)]

    def as_kept(self, jobs: Sequence[NewJob]) -> Sequence[NewJob]:
        """Requests with the retention that this store has by default."""
        if self._connection.store.traits.durable:
            return jobs
        return [
            msgspec.structs.replace(job, keep_for=_KEPT_IN_MEMORY) if job.keep_for == KEEP_FOR else job for job in jobs
        ]

    def check_importable(self, call: Call) -> None:
        """Whether a worker could run it. Raises `TaskError`."""
        if call.task.module == "__main__" and self._connection.store.traits.shared:
            raise TaskError(
                f"the task {call.task.name!r} is defined in an interactive session, where no worker can import it; "
                "put it into a module"
            )

    def insert(self, calls: Sequence[Call], connection: Any = None) -> list[Inserted]:
        """Enqueue: all or none, ids in order."""
        return self.insert_jobs(self._new_jobs(calls), connection)

    def insert_jobs(self, jobs: Sequence[NewJob], connection: Any = None) -> list[Inserted]:
        """The same of requests that are made already."""
        self._check()
        jobs = self.as_kept(jobs)
        if connection is not None:
            self._open_if_free()
            return borrow(connection).run(self._in_their_transaction(jobs))
        store, driver = self.open()
        answers = driver.run(store.insert(jobs))
        if self.local is not None:
            self.local.added(answers)
        return answers

    async def ainsert(self, calls: Sequence[Call], connection: Any = None) -> list[Inserted]:
        """The same from async code. Single jobs enqueued at once by many coroutines go in one insert."""
        return await self.ainsert_jobs(self._new_jobs(calls), connection)

    async def ainsert_jobs(self, jobs: Sequence[NewJob], connection: Any = None) -> list[Inserted]:
        """The same of requests that are made already."""
        self._check()
        jobs = self.as_kept(jobs)
        if connection is not None:
            if not self._ready:
                await in_thread(self._open_if_free)
            return await borrow(connection).arun(self._in_their_transaction(jobs))
        store, driver = await self.aopen()
        if len(jobs) == 1:
            answers = [await self._batcher().insert(jobs[0])]
        else:
            answers = await driver.arun(store.insert(jobs))
        if self.local is not None:
            await self.local.aadded(answers)
        return answers

    def _open_if_free(self) -> None:
        """Make the tables where they are missing, unless the caller's own transaction is in the way."""
        store, driver = self._connection
        if self._ready or not store.traits.borrows:
            return
        probe = driver.sibling(patient=False)
        try:
            if probe.run(store.pending()):
                probe.run(store.migrate())
            self._ready = True
        except StoreUnavailable:
            return
        finally:
            probe.close()

    def _in_their_transaction(self, jobs: Sequence[NewJob]) -> Plan[list[Inserted]]:
        """An insert for the caller's connection. Where the tables are missing, it makes them, too."""
        store, driver = self._connection
        if not store.traits.borrows:
            raise ConfigError(f"connection= needs a store in the caller's own database; {driver.place} is not one")

        def steps() -> Steps[list[Inserted]]:
            yield from driver.recognise().start()
            if not self._ready:
                yield from store.migrate().start()
            return (yield from store.insert(jobs).start())

        return Plan(steps, name="insert", writes=True, wakes=True)

    def _batcher(self) -> Batcher:
        loop = asyncio.get_running_loop()
        batcher = self._batchers.get(loop)
        if batcher is None:
            batcher = self._batchers[loop] = Batcher(self._connection)
        return batcher

    # --- reading and waiting ----------------------------------------------------------------------------------------

    def get(self, id: str) -> Script[Job]:
        """The record of a job. Raises `JobNotFound`."""
        found = yield self._connection.store.find(Filter(ids=(id,)), Page(1))
        if not found:
            raise JobNotFound(id)
        job: Job = found[0]
        return job

    def secret(self) -> Script[str]:
        """What tokens are signed with: of the settings, else one that is made once and kept in the store."""
        if self.settings.secret is not None:
            return self.settings.secret
        self._check()
        if self._secret is None:
            self._secret = yield self._connection.store.keep("secret", clock.secret())
        assert self._secret is not None
        return self._secret

    def wait(self, id: str, timeout: float | None) -> Job:
        """The record of a job once it has finished. Raises `TimeoutError` and `JobNotFound`."""
        deadline = None if timeout is None else clock.monotonic() + timeout
        pause = FIRST_LOOK
        while True:
            job = self.play(self.get(id))
            if job.finished:
                return job
            left = pause if deadline is None else deadline - clock.monotonic()
            if left <= 0:
                raise TimeoutError(f"job {id} is still {job.state.value} after {timeout:g} s")
            clock.sleep(min(pause, left))
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _afind(self, which: Filter, page: Page) -> Sequence[Job]:
        return await self.arun(self._connection.store.find(which, page))

    async def await_end(self, id: str) -> Job:
        """The same from async code, without a timeout of its own. Many waits share one query."""
        loop = asyncio.get_running_loop()
        watcher = self._watchers.get(loop)
        if watcher is None:
            watcher = self._watchers[loop] = Watcher(self._afind)
        return await watcher.wait(id)
