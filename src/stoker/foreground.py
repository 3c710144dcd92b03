"""The mode `foreground`: enqueue runs the job, to its final state, before it returns. For tests.

Delays and pauses between attempts pass at once: the store's clock leaps over them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from stoker import clock
from stoker.connect import Connection
from stoker.drivers.memory import MemoryDriver
from stoker.events import JobEnded, Sink
from stoker.job import AskedRetry, Claim, Ending, Inserted, Raised, Verdict
from stoker.store import Routing, Want, Worker
from stoker.stores.memory import MemoryStore
from stoker.task import Registry
from stoker.worker.attempt import TIMED_OUT, Attempt
from stoker.worker.run import Surroundings, run_async, run_sync

T = TypeVar("T")

_NAME = "foreground"
_WORKER = Worker(id=_NAME, host="", pid=0, version="", concurrency=1)
_LEASE = 10**6 * clock.SECOND


class LeapingClock:
    """The wall clock, and the time that was leapt over."""

    def __init__(self) -> None:
        self._ahead = 0

    def __call__(self) -> int:
        """The instant."""
        return clock.now() + self._ahead

    def leap(self, span: int) -> None:
        """Let that much time pass now."""
        self._ahead += span


class Foreground:
    """Runs jobs where they are enqueued."""

    def __init__(self, registry: Registry, app: Any, emit: Sink) -> None:
        self._clock = LeapingClock()
        self._store = MemoryStore(self._clock)
        self._driver = MemoryDriver()
        self.connection = Connection(self._store, self._driver)
        self._registry = registry
        self._app = app
        self._emit = emit
        self._surroundings = Surroundings(registry, emit)
        self._chance = clock.chance()

    def added(self, jobs: Sequence[Inserted]) -> None:
        """See `Local.added`."""
        while (claim := self._next()) is not None:
            told = self._settle(claim, *self._run(claim))
            if told is not None:
                _apart(partial(asyncio.run, told))

    async def aadded(self, jobs: Sequence[Inserted]) -> None:
        """See `Local.aadded`."""
        while (claim := self._next()) is not None:
            told = self._settle(claim, *await self._arun(claim))
            if told is not None:
                await told

    def close(self, grace: float) -> None:
        """See `Local.close`: nothing runs between two calls."""

    def _next(self) -> Claim | None:
        """The next job; if all are for later, that time is now."""
        routing = Routing(self._registry.names)
        while True:
            self._driver.run(self._store.register(_WORKER, _LEASE))  # anew after every leap, however far
            reply = self._driver.run(self._store.exchange(_NAME, (), (Want(None, 1),), routing, 1))
            if reply.claims:
                return reply.claims[0]
            if reply.due_in is None:
                return None
            self._clock.leap(reply.due_in)

    def _run(self, claim: Claim) -> tuple[Attempt, Ending]:
        attempt = self._attempt(claim)
        if attempt.task.is_async or not self._surroundings.empty:
            return _apart(lambda: asyncio.run(self._arun(claim)))
        return attempt, run_sync(attempt)

    async def _arun(self, claim: Claim) -> tuple[Attempt, Ending]:
        attempt = self._attempt(claim)
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(
            run_async(attempt) if self._surroundings.empty else self._surroundings.run(attempt, run_async)
        )
        attempt.on_stop(running.cancel)
        if attempt.options.timeout is not None:
            loop.call_later(attempt.options.timeout / clock.SECOND, attempt.stop, TIMED_OUT)
        return attempt, await running

    def _attempt(self, claim: Claim) -> Attempt:
        attempt = Attempt(claim, self._registry.get(claim.task), self._app, None)
        if attempt.options.fill is not None:
            results = self._driver.run(self._store.results(attempt.needs))
            attempt.feed(results)
        return attempt

    def _settle(self, claim: Claim, attempt: Attempt, ending: Ending) -> Coroutine[Any, Any, None] | None:
        """Record the outcome; what is to be awaited now, if anything, tells the hooks that the job has failed."""
        outcome = attempt.outcome(ending, self._chance)
        self._driver.run(self._store.exchange(_NAME, (outcome,)))
        if outcome.verdict is not Verdict.COMPLETED:
            self._emit(JobEnded(claim, outcome))
        raised = ending.raised if isinstance(ending, AskedRetry) else ending
        if outcome.verdict is Verdict.FAILED and isinstance(raised, Raised) and self._registry.on_failure:
            return self._surroundings.failed(attempt, raised)
        return None


def _apart(work: Callable[[], T]) -> T:
    """Do it here, or, where this thread's event loop is running already, in a thread made for it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(work()), name="stoker-foreground")
    thread.start()
    thread.join()
    return results[0]
