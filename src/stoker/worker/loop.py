"""One worker process: performs what the dispatcher decides, on one event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

from msgspec import Struct

from stoker import clock, events
from stoker.dispatcher import Dispatcher, Exchange
from stoker.drivers.aside import in_thread
from stoker.drivers.driver import Driver
from stoker.errors import StokerError, StoreBroken, StoreUnavailable
from stoker.events import (
    JobEnded,
    JobsDropped,
    LeaseLost,
    Sink,
    StoreBack,
    StoreFailed,
    WorkerQuieted,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
    WorkerWoken,
)
from stoker.job import LIVE, Claim, Ending, Interrupted, Raised, Verdict
from stoker.store import Command, Exchanged, Filter, Orders, Page, Routing, Store, Worker
from stoker.task import Registry
from stoker.worker.attempt import CANCELLED, LOST, STOPPING, Attempt
from stoker.worker.deadlines import Deadlines
from stoker.worker.feeder import Feeder
from stoker.worker.keeper import Keeper
from stoker.worker.processes import Processes
from stoker.worker.run import Surroundings, call, run_async
from stoker.worker.threads import Threads

T = TypeVar("T")

VERSION = version("stoker")
"""Looked up here and not in a thread: a child that is forked meanwhile would wait for ever for the import to end."""

BEAT = 0.25
"""seconds between two signs of the loop that it turns"""


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """How one worker process works."""

    concurrency: int = 50
    """jobs at once"""
    queues: Mapping[str, int | None] | None = None
    """queues to serve, each with its own limit or None; None: all queues"""
    tags: frozenset[str] | None = None
    """take only jobs that share one of these; None: whatever their tags"""
    untagged: bool = False
    """with `tags`: also jobs without any"""
    lease: float = 15.0
    grace: float = 30.0
    drain: bool = False
    """stop once nothing is due"""


class WorkerLoop:
    """A worker in this process. `serve` runs until it is stopped, and leaves nothing behind."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        driver: Driver,
        options: WorkerOptions = WorkerOptions(),
        *,
        app: Any = None,
        emit: Sink = events.log,
    ) -> None:
        self._registry = registry
        self._store = store
        self._driver = driver
        self._options = options
        self._app = app
        self._emit = emit
        self._chance = clock.chance()
        self._dispatcher = Dispatcher(
            options.concurrency, options.queues, drain=options.drain, turn=self._chance.randrange(1000)
        )
        self._routing = Routing(frozenset(), options.tags, options.untagged)
        self._surroundings = Surroundings(registry, emit)
        self._feeder = Feeder(store, driver)
        self._keeper = Keeper(
            store, driver.sibling(), self._introduce, self, emit, lease=options.lease, chance=self._chance
        )
        self._count = self._keeper.tallying.count
        self._attempts: dict[int, Attempt] = {}
        self._withheld: dict[Attempt, Ending] = {}
        """attempts that have ended, while something that they logged is on its way"""
        self._telling: set[asyncio.Task[None]] = set()
        self._registering: asyncio.Task[None] | None = None
        self._starting = False
        self._woken = asyncio.Event()
        self._beating: asyncio.TimerHandle | None = None
        self._progressed_at = clock.monotonic()
        self._serving_in: int | None = None

    # --- what others may ask ----------------------------------------------------------------------------------------

    @property
    def id(self) -> str | None:
        """The id under which the store knows this worker; new after a lost lease."""
        return self._keeper.worker.id if self._keeper.worker else None

    @property
    def running(self) -> int:
        """Jobs that run now."""
        return len(self._attempts)

    @property
    def serving(self) -> bool:
        """Whether it has begun to work in this process, and has not come to its end as it should."""
        return self._serving_in == os.getpid()

    @property
    def healthy(self) -> bool:
        """Whether it could work now: alive to the store, which answers, and its claim loop turned within a lease."""
        return self.trouble is None

    @property
    def trouble(self) -> str | None:
        """What keeps it from working now; None: nothing does."""
        if self.stuck is not None:
            return self.stuck
        if self._dispatcher.failures or not self._keeper.reaches:
            return "the store does not answer"
        return "the store does not know this worker, which lost its lease" if self.id is None else None

    @property
    def stuck(self) -> str | None:
        """Why it does not come back by itself; None: it does, also from a store that is down for a while."""
        still = clock.monotonic() - self._progressed_at
        return f"the claim loop has not turned for {still:.0f} s" if still >= self._options.lease else None

    def stop(self, grace: float | None = None) -> None:
        """Claim no more; running jobs get the grace (seconds), then they are stopped and given back.

        On the worker's own loop. A second call can only shorten the grace.
        """
        grace = self._options.grace if grace is None else grace
        if not self._dispatcher.stopping:
            self._emit(WorkerStopping(self.id or "?", len(self._attempts), grace))
        self._dispatcher.stop(clock.monotonic(), grace)
        self._wake()

    async def serve(self, started: asyncio.Event | None = None) -> None:
        """Work until stopped (or, with `drain`, until nothing is due). Raises what makes it impossible to begin."""
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop)
        self._threads = Threads(self._loop, self._options.concurrency)
        self._processes = Processes(min(self._options.concurrency, os.cpu_count() or 1))
        self._surrounded = not self._surroundings.empty
        unlisten: Callable[[], None] | None = None
        try:
            await self._introduce_and_keep()
            unlisten = self._driver.listen(self._loop, self._hinted)
            self._progressed_at = clock.monotonic()
            self._serving_in = os.getpid()
            if started is not None:
                started.set()
            await self._work_to_the_end()
        finally:
            if unlisten is not None:
                unlisten()
            await self._leave()

    async def _introduce_and_keep(self) -> None:
        worker = await in_thread(self._keeper.register)
        for hook in self._registry.on_start:
            await call(hook)
        self._keeper.start(self._loop)
        self._beat()
        self._emit(WorkerStarted(worker.id, self._driver.place, len(self._registry), self._options.concurrency))

    async def _leave(self) -> None:
        """Close what was opened, and be forgotten by the store."""
        name = self.id or "?"
        if self._beating is not None:
            self._beating.cancel()
        self._deadlines.close()
        self._threads.close()
        await self._processes.close()
        self._keeper.tallying.hand_over()
        await in_thread(self._keeper.stop)
        await asyncio.gather(*self._telling)
        self._tell_dropped()
        if self._beating is not None:  # else it never began, and so did not stop
            for hook in reversed(self._registry.on_stop):
                await self._surroundings.call_safely(hook)
            self._emit(WorkerStopped(name))

    async def _work_to_the_end(self) -> None:
        working = asyncio.ensure_future(self._work())  # never cancelled: the answer to an exchange must be heard
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:  # whoever runs us wants to end: as after a second signal
            self.stop(0.0)
            await working
            raise

    def _tell_dropped(self) -> None:
        if self._store.traits.durable:
            return
        left = self._driver.run(self._store.find(Filter(states=tuple(sorted(LIVE))), Page(1000)))
        if left:
            self._emit(JobsDropped([job.id for job in left]))

    # --- the loop ---------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            self._progressed_at = clock.monotonic()
            decision = self._dispatcher.decide(clock.monotonic())
            for claim in decision.stop:
                self._stop(claim, STOPPING)
            if decision.done:
                self._serving_in = None
                return
            if decision.exchange is not None:
                under_way = _eager(self._exchange(decision.exchange), self._loop)
                self._start_ready()  # while the store is at it
                await under_way
                await asyncio.sleep(0)  # an exchange may not have waited for anything; let the others have a turn
            elif not self._start_ready():
                await self._wait(decision.wake_at)

    async def _wait(self, until: float | None) -> None:
        if until is not None:
            timer = self._loop.call_later(max(0.0, until - clock.monotonic()), self._wake)
            await self._woken.wait()
            timer.cancel()
        else:
            await self._woken.wait()
        self._woken.clear()

    def _wake(self) -> None:
        self._woken.set()

    def _hinted(self) -> None:
        self._dispatcher.hinted()
        self._woken.set()

    def _beat(self) -> None:
        """A sign of life; and a look at the lease, for the keeper may be waiting for a store that never answers."""
        self._keeper.beat()
        self._keeper.tallying.hand_over()
        worker = self._keeper.worker
        if worker is not None and not self._keeper.holds(worker) and self._keeper.lose(worker):
            self.lease_lost(worker)
        self._beating = self._loop.call_later(BEAT, self._beat)

    def _route(self) -> Routing:
        """What may be claimed: tasks that were declared since the last look as well."""
        if len(self._routing.tasks) != len(self._registry):
            self._routing = Routing(self._registry.names, self._options.tags, self._options.untagged)
        return self._routing

    async def _exchange(self, exchange: Exchange) -> None:
        worker = self._keeper.worker
        wants = exchange.wants if worker is not None else ()
        plan = self._store.exchange(
            worker.id if worker else "",
            exchange.outcomes,
            wants,
            self._route(),
            exchange.limit,
            exchange.turn,
            exchange.known if worker is not None else None,
        )
        failures = self._dispatcher.failures
        try:
            reply: Exchanged = await self._driver.arun(plan)
        except Exception as error:  # noqa: BLE001 - whatever it is, outcomes must be kept
            transient = isinstance(error, StoreUnavailable | StoreBroken)
            pause = min(2.0, 0.05 * 2 ** min(failures, 6)) * (0.5 + self._chance.random())
            self._emit(StoreFailed(error, len(exchange.outcomes)))
            self._dispatcher.exchange_failed(clock.monotonic(), transient=transient, pause=pause)
            return
        if failures:
            self._emit(StoreBack(failures))
        self._dispatcher.exchanged(reply, clock.monotonic())
        if worker is not None and not reply.alive and self._keeper.lose(worker):
            self.lease_lost(worker)
        if self._dispatcher.held and not self._keeper.holds(worker):
            self._dispatcher.hand_back()  # the reply came late: another may have these by now

    # --- attempts ---------------------------------------------------------------------------------------------------

    def _start_ready(self) -> bool:
        """Start claims while there are slots; whether any was started. One that ends at once frees its slot at once."""
        if self._starting:
            return False
        if self._dispatcher.held and not self._keeper.holds(self._keeper.worker):
            self._dispatcher.hand_back()
        self._starting = True
        started = False
        take, start = self._dispatcher.take, self._start
        try:
            while (claim := take()) is not None:
                start(claim)
                started = True
        finally:
            self._starting = False
        return started

    def _start(self, claim: Claim) -> None:
        attempt = Attempt(claim, self._registry.get(claim.task), self._app, self._keeper.report)
        self._attempts[claim.ref] = attempt
        if attempt.options.timeout is not None:
            self._deadlines.add(attempt, attempt.options.timeout)
        if attempt.options.fill is not None:
            self._spawn(attempt, self._feed_and_run(attempt))
        elif self._surrounded:
            self._spawn(attempt, self._surroundings.run(attempt, self._execute))
        elif attempt.executor == "loop":
            self._spawn(attempt, run_async(attempt))
        elif attempt.executor == "thread":
            self._threads.start(attempt, self._ended)
        else:
            self._processes.start(attempt, self._ended)

    def _spawn(self, attempt: Attempt, running: Coroutine[Any, Any, Ending]) -> None:
        task = _eager(running, self._loop)
        if task.done():
            self._ended(attempt, task.result())
            return
        if attempt.executor == "loop":  # threads and processes are told by other means; who awaits them must go on
            attempt.on_stop(task.cancel)
        task.add_done_callback(lambda done: self._ended(attempt, _ending(attempt, done)))

    async def _feed_and_run(self, attempt: Attempt) -> Ending:
        try:
            attempt.feed(await self._feeder.results(attempt.needs))
        except (StoreUnavailable, StoreBroken):
            return Interrupted()
        except asyncio.CancelledError as error:
            return attempt.ending(error)
        if self._surrounded:
            return await self._surroundings.run(attempt, self._execute)
        return await self._execute(attempt)

    async def _execute(self, attempt: Attempt) -> Ending:
        """Run an attempt in its executor and wait for it: the way for attempts inside middleware."""
        if attempt.executor == "loop":
            return await run_async(attempt)
        ended: asyncio.Future[Ending] = self._loop.create_future()

        def done(_: Attempt, ending: Ending) -> None:
            if not ended.done():
                ended.set_result(ending)

        executor = self._threads if attempt.executor == "thread" else self._processes
        executor.start(attempt, done)
        return await ended

    def _ended(self, attempt: Attempt, ending: Ending) -> None:
        claim = attempt.claim
        attempt.ended = True
        if attempt.logged and self._keeper.carries(attempt):
            self._withheld[attempt] = ending  # the outcome would overtake it, and the store take it no more
            return
        if self._attempts.get(claim.ref) is attempt:
            del self._attempts[claim.ref]
        if attempt.options.timeout is not None:
            self._deadlines.sweep()
        outcome = attempt.outcome(ending, self._chance)
        kept = self._dispatcher.finished(claim, outcome)
        if kept:
            self._count(claim.queue, outcome.verdict)
        if outcome.verdict is not Verdict.COMPLETED:
            self._emit(JobEnded(claim, outcome))
            if kept and outcome.verdict is Verdict.FAILED and self._registry.on_failure:
                self._tell_failed(attempt, ending)
        if not self._starting:  # else the loop is at it, and looks again
            self._woken.set()
            self._start_ready()

    def _tell_failed(self, attempt: Attempt, ending: Ending) -> None:
        raised = ending if isinstance(ending, Raised) else getattr(ending, "raised", None)
        if raised is None:
            return
        task = asyncio.ensure_future(self._surroundings.failed(attempt, raised))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _stop(self, claim: Claim, reason: str) -> None:
        attempt = self._attempts.get(claim.ref)
        if attempt is not None and attempt.claim.fence == claim.fence:
            attempt.stop(reason)

    # --- what the keeper hears --------------------------------------------------------------------------------------

    def ordered(self, orders: Orders) -> None:
        """See `Hearer.ordered`."""
        for ref, fence in orders.cancel:
            attempt = self._attempts.get(ref)
            if attempt is not None and attempt.claim.fence == fence:
                attempt.stop(CANCELLED)
        if orders.command is Command.STOP:
            self.stop()
        elif orders.command is Command.QUIET:
            self._be_quiet()
        else:
            self._be_awake()

    def carried(self, attempts: Sequence[Attempt]) -> None:
        """See `Hearer.carried`: their outcomes may go."""
        for attempt in attempts:
            ending = self._withheld.pop(attempt, None)
            if ending is not None:
                self._ended(attempt, ending)

    def _be_quiet(self) -> None:
        if not (self._dispatcher.quiet or self._dispatcher.stopping):
            self._emit(WorkerQuieted(self.id or "?", len(self._attempts)))
            self._dispatcher.quieten()
            self._wake()

    def _be_awake(self) -> None:
        if self._dispatcher.quiet and not self._dispatcher.stopping:
            self._emit(WorkerWoken(self.id or "?"))
            self._dispatcher.wake()
            self._wake()

    def lease_lost(self, worker: Worker) -> None:
        """See `Hearer.lease_lost`: stop what runs, and begin anew under another id."""
        lost = self._dispatcher.lease_lost()
        self._emit(LeaseLost(worker.id, len(lost)))
        for claim in lost:
            self._stop(claim, LOST)
        self._registering = asyncio.ensure_future(self._register_again())
        self._wake()

    async def _register_again(self) -> None:
        pause = 0.1
        while not self._dispatcher.stopping:
            try:
                await in_thread(self._keeper.register)
            except StokerError as error:
                self._emit(StoreFailed(error, self._dispatcher.unsettled))
                await asyncio.sleep(pause * (0.5 + self._chance.random()))
                pause = min(2.0, pause * 2)
            else:
                self._dispatcher.registered()
                self._wake()
                return

    def _introduce(self) -> Worker:
        options = self._options
        return Worker(
            id=str(uuid.UUID(int=self._chance.getrandbits(128), version=4)),
            host=socket.gethostname(),
            pid=os.getpid(),
            version=VERSION,
            queues=tuple(options.queues or ()),
            tags=tuple(sorted(options.tags or ())),
            concurrency=options.concurrency,
        )


def _ending(attempt: Attempt, task: asyncio.Task[Ending]) -> Ending:
    if task.cancelled():  # before its first step
        return attempt.ending(asyncio.CancelledError())
    return task.result()


if sys.version_info >= (3, 12):

    def _eager(running: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> asyncio.Task[T]:
        """Run the coroutine up to its first wait, here and now: most short jobs never need the loop."""
        return asyncio.Task(running, loop=loop, eager_start=True)

else:

    def _eager(running: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> asyncio.Task[T]:
        """Run the coroutine as a task; this Python has no eager ones."""
        return loop.create_task(running)
