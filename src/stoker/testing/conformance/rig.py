"""The rig: a store under test, the driver that runs its plans, and a clock that moves only when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Literal, Protocol, TypeVar

from stoker.clock import SECOND, Clock, IdSource
from stoker.drivers.driver import Driver
from stoker.job import Claim, Failure, Job, NewJob, Outcome, Progress, State, Verdict
from stoker.plan import Plan
from stoker.store import (
    Action,
    Change,
    Exchanged,
    Filter,
    Orders,
    Page,
    QueueInfo,
    Routing,
    Store,
    Traits,
    Want,
    Worker,
)

T = TypeVar("T")

Colour = Literal["sync", "async"]
"""Through which of its two ends the driver is used."""

MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LEASE: Final = 15 * SECOND
START: Final = 1_767_225_600 * SECOND
"""The instant at which every rig's clock stands at first."""

ALL: Final = 1_000_000
"""More jobs than any test has."""


class Borrowed(Protocol):
    """A transaction that the caller of `insert` has open on a connection of its own."""

    def run(self, plan: Plan[T]) -> T:
        """Run the plan's statements in this transaction."""
        ...

    def commit(self) -> None:
        """End the transaction; what it did stays."""
        ...

    def rollback(self) -> None:
        """End the transaction; nothing of it stays."""
        ...


class Rig:
    """One store, empty and migrated, with everything that a test asks of it."""

    def __init__(
        self,
        make_store: Callable[[Clock], Store],
        driver: Driver,
        *,
        colour: Colour = "sync",
        borrow: Callable[[], AbstractContextManager[Borrowed]] | None = None,
    ) -> None:
        self._now = START
        self._make_store = make_store
        self._borrow = borrow
        self._runner = asyncio.Runner() if colour == "async" else None
        self._new_id = IdSource(lambda: self._now)
        self.driver = driver
        self.store = make_store(lambda: self._now)

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        """The rig with its schema in place; closed at the end."""
        try:
            self.run(self.store.migrate())
            yield self
        finally:
            self.driver.close()
            if self._runner is not None:
                self._runner.close()

    # --- running plans ----------------------------------------------------------------------------------------------

    def run(self, plan: Plan[T]) -> T:
        """Run the plan through the driver, from sync code or on an event loop."""
        if self._runner is None:
            return self.driver.run(plan)
        return self._runner.run(self.driver.arun(plan))

    def ask(self, plan: Plan[T], within: float) -> T:
        """Ask the driver, which gives up after so many seconds."""
        if self._runner is None:
            return asyncio.run(self.driver.ask(plan, within))
        return self._runner.run(self.driver.ask(plan, within))

    def run_together(self, plans: Sequence[Plan[T]]) -> list[T]:
        """Run the plans at the same time where the driver can, else one after the other."""
        results = self.try_together(plans)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    def try_together(self, plans: Sequence[Plan[T]]) -> list[T | BaseException]:
        """The same, with the error in place of the result of each plan that failed."""

        async def gathered() -> list[T | BaseException]:
            return await asyncio.gather(*(self.driver.arun(plan) for plan in plans), return_exceptions=True)

        if self._runner is not None:
            return self._runner.run(gathered())
        return [self._try(plan) for plan in plans]

    def _try(self, plan: Plan[Any]) -> Any:
        try:
            return self.driver.run(plan)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    def borrowed(self) -> AbstractContextManager[Borrowed]:
        """The caller's own transaction, for a store that `borrows`."""
        assert self._borrow is not None, "a store that borrows needs a rig with `borrow`"
        return self._borrow()

    @property
    def traits(self) -> Traits:
        """What the store can do."""
        return self.store.traits

    def another_store(self) -> Store:
        """The store's logic a second time, as another process would have it, on the same clock."""
        return self._make_store(lambda: self._now)

    # --- the clock --------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The store's present, an instant."""
        return self._now

    def advance(self, span: int) -> None:
        """Let time pass; a negative span lets the clock step back."""
        self._now += span

    # --- jobs -------------------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """An id that grows with every call."""
        return self._new_id()

    def new(self, **facts: Any) -> NewJob:
        """A request with defaults for what the test does not care about."""
        defaults: dict[str, Any] = {"id": self.new_id(), "task": "task", "payload": "[[],{}]", "keep_for": DAY}
        return NewJob(**defaults | facts)

    def enqueue(self, **facts: Any) -> str:
        """Insert one job that must be new; its id."""
        job = self.new(**facts)
        assert [answer.created for answer in self.run(self.store.insert([job]))] == [True]
        return job.id

    def enqueue_many(self, count: int, **facts: Any) -> list[str]:
        """Insert that many new jobs at once; their ids, in order."""
        jobs = [self.new(**facts) for _ in range(count)]
        assert all(answer.created for answer in self.run(self.store.insert(jobs)))
        return [job.id for job in jobs]

    def make(self, state: State, **facts: Any) -> str:
        """A job that has come to that state. One that is processing is held by the living worker `holder`."""
        match state:
            case State.WAITING:
                parent = self.enqueue(delay=DAY, task="parent")
                return self.enqueue(parents=(parent,), **facts)
            case State.SCHEDULED:
                return self.enqueue(**{"delay": DAY} | facts)
            case State.QUEUED:
                return self.enqueue(**facts)
            case State.PROCESSING:
                return self.begin("holder", **facts).id
            case _:
                claim = self.begin("holder", **facts)
                assert self.settle(verdict(claim, Verdict(state.value))) == []
                return claim.id

    def begin(self, worker: str = "worker", **facts: Any) -> Claim:
        """Enqueue a job and have a living worker claim it, ahead of all others in its queue."""
        id = self.enqueue(**{"priority": 100} | facts)
        self.hire(worker)
        task = facts.get("task", "task")
        queue = facts.get("queue", "default")
        claims = self.claim(worker, 1, queue=queue, tasks={task})
        assert [claim.id for claim in claims] == [id], "another job of that task stood before this one"
        return claims[0]

    # --- workers ----------------------------------------------------------------------------------------------------

    def hire(self, worker: str = "worker", lease: int = LEASE, **facts: Any) -> str:
        """Register a worker; its id."""
        known: dict[str, Any] = {"host": "host", "pid": 1, "version": "1", "concurrency": 10}
        self.run(self.store.register(Worker(id=worker, **known | facts), lease))
        return worker

    def lose(self, *workers: str) -> None:
        """Forget these workers, as if their leases had run out at once. Time stands still."""
        for worker in workers:
            self.run(self.store.retire(worker))

    def exchange(self, worker: str = "worker", *outcomes: Outcome, **how: Any) -> Exchanged:
        """One exchange, as `claim` and `settle` ask for it."""
        limit = how.get("limit", 0)
        wants = how.get("wants", [Want(how.get("queue"), limit)])
        tags = how.get("tags")
        routing = Routing(
            tasks=frozenset(how.get("tasks", {"task"})),
            tags=None if tags is None else frozenset(tags),
            untagged=how.get("untagged", False),
        )
        answer = self.run(
            self.store.exchange(worker, outcomes, wants, routing, limit, how.get("turn", 0), how.get("known"))
        )
        return Exchanged(list(answer.claims), list(answer.refused), answer.due_in, answer.alive)

    def claim(self, worker: str = "worker", limit: int = ALL, **how: Any) -> list[Claim]:
        """Claim up to `limit` jobs of `queue` (None: of all) or of `wants`, of `tasks`, with `tags` and `untagged`."""
        return list(self.exchange(worker, limit=limit, **how).claims)

    def settle(self, *outcomes: Outcome, worker: str = "worker") -> list[int]:
        """Settle and claim nothing; the refused refs."""
        return list(self.exchange(worker, *outcomes, wants=[]).refused)

    def beat(self, worker: str = "worker", *progress: Progress, lease: int | None = None) -> Orders:
        """One heartbeat."""
        orders = self.run(self.store.heartbeat(worker, progress, lease))
        return Orders(orders.alive, list(orders.cancel), orders.command)

    def hear(self, worker: str = "worker") -> Orders:
        """What the worker hears."""
        orders = self.run(self.store.hear(worker))
        return Orders(orders.alive, list(orders.cancel), orders.command)

    def recover_all(self) -> None:
        """Recover until nothing is left to recover."""
        while (done := self.run(self.store.recover())).queued + done.failed:
            pass

    # --- people -----------------------------------------------------------------------------------------------------

    def amend(self, action: Action, *ids: str, reason: str | None = None, priority: int = 0) -> int:
        """Do this to the jobs with these ids, or to all; how many were changed."""
        which = Filter(ids=ids) if ids else Filter()
        return self.run(self.store.amend(which, Change(action, reason=reason, priority=priority)))

    def cancel(self, *ids: str, reason: str | None = None) -> int:
        """Cancel these jobs; how many were changed."""
        return self.amend(Action.CANCEL, *ids, reason=reason)

    def retry(self, *ids: str) -> int:
        """Retry these jobs; how many were changed."""
        return self.amend(Action.RETRY, *ids)

    def delete(self, *ids: str) -> int:
        """Delete these jobs; how many were."""
        return self.amend(Action.DELETE, *ids)

    def read(self, id: str) -> Job:
        """The job's record; it must exist."""
        (job,) = self.run(self.store.find(Filter(ids=(id,))))
        return job

    def state(self, id: str) -> State:
        """The job's state; it must exist."""
        return self.read(id).state

    def states(self, ids: Iterable[str]) -> list[State]:
        """The states of these jobs, which must exist."""
        return [self.state(id) for id in ids]

    def find(self, limit: int = ALL, before: str | None = None, after: str | None = None, **fields: Any) -> list[str]:
        """Ids of matching jobs, as `find` lists them."""
        return [job.id for job in self.run(self.store.find(Filter(**fields), Page(limit, before, after)))]

    def records(self) -> list[Job]:
        """Every record, newest first."""
        return self.run(self.store.find(page=Page(limit=ALL)))

    def queue(self, name: str = "default") -> QueueInfo:
        """The queue as the census has it."""
        return next(queue for queue in self.run(self.store.census()).queues if queue.name == name)

    def worker(self, id: str = "worker") -> Worker | None:
        """The worker as the census has it."""
        return next((worker for worker in self.workers() if worker.id == id), None)

    def workers(self) -> list[Worker]:
        """The workers as the census has them."""
        return list(self.run(self.store.census()).workers)


def verdict(claim: Claim, verdict: Verdict, **facts: Any) -> Outcome:
    """An outcome of that claim."""
    return Outcome(claim.ref, claim.fence, verdict, **facts)


def completed(claim: Claim, result: str = "null") -> Outcome:
    """The outcome of a claim whose task returned."""
    return Outcome(claim.ref, claim.fence, Verdict.COMPLETED, result=result)


def failed(claim: Claim, message: str = "no luck") -> Outcome:
    """The outcome of a claim whose last attempt raised."""
    return Outcome(claim.ref, claim.fence, Verdict.FAILED, failure=failure(claim, message))


def retried(claim: Claim, delay: int = 0, message: str = "no luck") -> Outcome:
    """The outcome of a claim whose attempt raised and is followed by another."""
    return Outcome(claim.ref, claim.fence, Verdict.RETRY, delay=delay, failure=failure(claim, message))


def failure(claim: Claim, message: str = "no luck") -> Failure:
    """What went wrong in the attempt of that claim."""
    return Failure(attempt=claim.attempt, type="builtins.ValueError", message=message, traceback="Traceback: …")


def ids(claims: Iterable[Claim]) -> list[str]:
    """The jobs that were claimed, in order."""
    return [claim.id for claim in claims]
