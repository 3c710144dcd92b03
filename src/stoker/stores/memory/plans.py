"""The memory store: the contract in plain Python, written to be read.

Other stores must agree with it in lockstep (`tests/agreement`). It is also what `mode="async"` runs on, so claims come
from heaps and do not slow down under a backlog. Every verb runs under its driver's lock.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

import msgspec

from stoker.clock import SECOND, Clock, now
from stoker.job import (
    LIVE,
    Claim,
    Failure,
    Inserted,
    Job,
    NewJob,
    Outcome,
    Progress,
    State,
    Verdict,
    crash_failure,
)
from stoker.plan import Plan, Steps
from stoker.store import (
    Action,
    Census,
    Change,
    Exchanged,
    Facet,
    Filter,
    Orders,
    Page,
    QueueInfo,
    Recovered,
    Routing,
    Traits,
    Want,
    Worker,
)
from stoker.stores.memory.shelf import Shelf
from stoker.stores.record import Record, appended, entry, from_job, from_new, list_of, to_job

P = ParamSpec("P")
T = TypeVar("T")


def _immediate(*, wakes: bool) -> Callable[[Callable[P, T]], Callable[P, Plan[T]]]:
    def decorate(body: Callable[P, T]) -> Callable[P, Plan[T]]:
        name = body.__name__

        @wraps(body)
        def make(*args: P.args, **kwargs: P.kwargs) -> Plan[T]:
            def steps() -> Steps[T]:
                yield from ()
                return body(*args, **kwargs)

            return Plan(steps, name=name, writes=True, wakes=wakes)

        return make

    return decorate


immediate = _immediate(wakes=False)
"""Turns a method into a verb whose plan asks no database anything."""

immediate_waking = _immediate(wakes=True)
"""The same, for a verb that may make jobs due."""


class MemoryStore:
    """Jobs in this process's memory. They end with it."""

    traits = Traits(durable=False, borrows=False, shared=False)

    def __init__(self, clock: Clock = now) -> None:
        self._now = clock
        self._shelf = Shelf()
        self._workers: dict[str, Worker] = {}
        self._paused: dict[str, bool] = {}

    # --- a job's life -----------------------------------------------------------------------------------------------

    @immediate_waking
    def insert(self, jobs: Sequence[NewJob]) -> list[Inserted]:
        """See `Store.insert`."""
        now = self._now()
        return [self._insert(job, now) for job in jobs]

    def _insert(self, job: NewJob, now: int) -> Inserted:
        if job.id in self._shelf.by_id:
            return Inserted(job.id, created=False)
        if job.key is not None and job.key in self._shelf.keys:
            return Inserted(self._shelf.keys[job.key].id, created=False)
        self._shelf.add(from_new(job, self._shelf.next_ref(), now))
        return Inserted(job.id, created=True)

    @immediate
    def exchange(
        self,
        worker: str,
        outcomes: Sequence[Outcome] = (),
        wants: Sequence[Want] = (),
        routing: Routing = Routing(tasks=frozenset()),
        limit: int = 0,
        turn: int = 0,
        known: Sequence[int] | None = None,
    ) -> Exchanged:
        """See `Store.exchange`."""
        now = self._now()
        refused = [outcome.ref for outcome in outcomes if not self._settle(outcome, now)]
        if known is not None:
            for record in [r for ref, r in self._shelf.held[worker].items() if ref not in known]:
                self._settle(Outcome(record.ref, record.fence, Verdict.RELEASED), now)
        self._shelf.promote(now)
        alive = self._alive(worker, now)
        ready = sorted(name for name, count in self._shelf.queued.items() if count and not self._paused.get(name))
        claims: list[Claim] = []
        if alive:
            for want in wants:
                room = min(want.limit, limit - len(claims))
                if want.queue is not None:
                    claims += self._claim(worker, want.queue, routing, room, now)
                else:
                    claims += self._claim_in_turns(worker, routing, ready, room, turn, now)
        return Exchanged(claims, refused, self._shelf.due_in(now), alive)

    def _claim_in_turns(
        self, worker: str, routing: Routing, names: list[str], room: int, turn: int, now: int
    ) -> list[Claim]:
        if not names:
            return []
        first = turn % len(names)
        names = names[first:] + names[:first]
        claims: list[Claim] = []
        for index, name in enumerate(names):  # an even share each …
            share = -(-(room - len(claims)) // (len(names) - index))
            claims += self._claim(worker, name, routing, share, now)
        for name in names:  # … and what others left
            claims += self._claim(worker, name, routing, room - len(claims), now)
        return claims

    def _claim(self, worker: str, queue: str, routing: Routing, room: int, now: int) -> list[Claim]:
        if room <= 0 or self._paused.get(queue):
            return []
        claims: list[Claim] = []
        for record in self._shelf.first(queue, room, lambda record: _takes(routing, record)):
            record.fence += 1
            record.attempt += 1
            record.worker = worker
            record.started_at = now
            self._shelf.move(record, State.PROCESSING, now)
            claims.append(
                Claim(
                    record.ref,
                    record.fence,
                    record.id,
                    record.task,
                    record.queue,
                    record.payload,
                    record.attempt,
                    record.crashes,
                    record.max_attempts,
                    record.owner,
                    record.checkpoint,
                    record.overrides,
                )
            )
        return claims

    def _settle(self, outcome: Outcome, now: int) -> bool:
        record = self._shelf.by_ref.get(outcome.ref)
        if record is None or record.state is not State.PROCESSING or record.fence != outcome.fence:
            return False
        self._report(record, outcome.progress, outcome.message, outcome.checkpoint)
        verdict = outcome.verdict
        if outcome.failure is not None and verdict in (Verdict.RETRY, Verdict.FAILED):
            self._blame(record, outcome.failure, now)
        if verdict is Verdict.COMPLETED:
            record.result = outcome.result
            record.error = None
            self._shelf.move(record, State.COMPLETED, now)
        elif verdict is Verdict.FAILED:
            self._shelf.move(record, State.FAILED, now)
        elif verdict is Verdict.CANCELLED:
            record.error = outcome.reason or record.cancelling or None
            self._shelf.move(record, State.CANCELLED, now)
        else:
            if verdict in (Verdict.SNOOZED, Verdict.RELEASED):
                record.attempt -= 1
            if verdict is Verdict.CRASHED:
                self._crash(record, now)
            elif verdict is Verdict.RELEASED:
                self._return(record, State.QUEUED, now)
            else:
                record.run_at = now + outcome.delay
                self._return(record, State.SCHEDULED if outcome.delay > 0 else State.QUEUED, now)
        return True

    def _crash(self, record: Record, now: int, *, capped: bool = True) -> None:
        record.crashes += 1
        if record.cancelling is None and capped and record.crashes >= record.max_crashes:
            self._blame(record, crash_failure(record.attempt, record.crashes), now)
            self._shelf.move(record, State.FAILED, now)
        else:
            self._return(record, State.QUEUED, now)

    def _return(self, record: Record, state: State, now: int) -> None:
        """Give a processing job back, unless it was asked to stop."""
        if record.cancelling is not None:
            record.error = record.cancelling or None
            state = State.CANCELLED
        self._shelf.move(record, state, now)

    def _blame(self, record: Record, failure: Failure, now: int) -> None:
        record.errors = appended(record.errors, entry(failure, record.worker, now))
        record.error = failure.summary

    def _report(self, record: Record, progress: float | None, message: str | None, checkpoint: str | None) -> None:
        if progress is not None:
            record.progress = progress
        if message is not None:
            record.message = message
        if checkpoint is not None:
            record.checkpoint = checkpoint

    @immediate
    def register(self, worker: Worker, lease: int) -> None:
        """See `Store.register`."""
        now = self._now()
        known = self._workers.get(worker.id)
        self._workers[worker.id] = msgspec.structs.replace(
            worker, started_at=known.started_at if known else now, seen_at=now, lease_until=now + lease
        )

    @immediate
    def heartbeat(self, worker: str, progress: Sequence[Progress] = (), lease: int | None = None) -> Orders:
        """See `Store.heartbeat`."""
        now = self._now()
        for report in progress:
            record = self._shelf.by_ref.get(report.ref)
            if record and record.state is State.PROCESSING and record.fence == report.fence:
                self._report(record, report.progress, report.message, report.checkpoint)
                record.updated_at = now
        if lease is not None and self._alive(worker, now):
            self._workers[worker] = msgspec.structs.replace(self._workers[worker], seen_at=now, lease_until=now + lease)
        return self._orders(worker, now)

    @immediate
    def hear(self, worker: str) -> Orders:
        """See `Store.hear`."""
        return self._orders(worker, self._now())

    def _orders(self, worker: str, now: int) -> Orders:
        asked = [(r.ref, r.fence) for r in self._shelf.held[worker].values() if r.cancelling is not None]
        return Orders(self._alive(worker, now), sorted(asked))

    @immediate
    def retire(self, worker: str) -> None:
        """See `Store.retire`."""
        self._workers.pop(worker, None)

    @immediate_waking
    def recover(self, limit: int = 1000) -> Recovered:
        """See `Store.recover`."""
        now = self._now()
        lost = [r for name, held in self._shelf.held.items() if not self._alive(name, now) for r in held.values()]
        lost.sort(key=lambda record: record.ref)
        for record in lost[:limit]:
            self._crash(record, now)
        for name in [name for name in self._workers if not self._alive(name, now)]:
            if not self._shelf.held[name]:
                del self._workers[name]
        failed = sum(record.state is State.FAILED for record in lost[:limit])
        return Recovered(queued=sum(r.state is State.QUEUED for r in lost[:limit]), failed=failed)

    @immediate
    def prune(self, limit: int = 1000) -> int:
        """See `Store.prune`."""
        now = self._now()
        over = [(r.finished_at + r.keep_for, r) for r in self._shelf.by_id.values() if r.finished_at is not None]
        doomed = heapq.nsmallest(limit, ((end, r.ref, r) for end, r in over if end <= now))
        for _, _, record in doomed:
            self._shelf.delete(record)
        return len(doomed)

    # --- the schema -------------------------------------------------------------------------------------------------

    @immediate
    def migrate(self) -> list[str]:
        """See `Store.migrate`."""
        return []

    @immediate
    def pending(self) -> list[str]:
        """See `Store.pending`."""
        return []

    def migrations(self) -> Mapping[str, str]:
        """See `Store.migrations`."""
        return {}

    # --- operators --------------------------------------------------------------------------------------------------

    @immediate_waking
    def amend(self, which: Filter, change: Change, limit: int | None = None) -> int:
        """See `Store.amend`."""
        now = self._now()
        changed = 0
        for record in list(self._shelf.matching(which, now)):
            if changed == limit:
                break
            if self._open_to(record, change, now):
                self._apply(record, change, now)
                changed += 1
        return changed

    @immediate
    def eligible(self, which: Filter, change: Change) -> int:
        """See `Store.eligible`."""
        now = self._now()
        keys: set[str] = set()  # of twins only one can be retried
        total = 0
        for record in self._shelf.matching(which, now):
            if not self._open_to(record, change, now):
                continue
            if change.action is Action.RETRY and record.key is not None:
                if record.key in keys:
                    continue
                keys.add(record.key)
            total += 1
        return total

    def _open_to(self, record: Record, change: Change, now: int) -> bool:
        """Whether the action can be done to the job; the table stands in `Action`."""
        processing = record.state is State.PROCESSING
        match change.action:
            case Action.CANCEL:
                return record.state in LIVE and record.cancelling is None
            case Action.RETRY:
                free = record.key is None or record.key not in self._shelf.keys
                return record.state in (State.FAILED, State.CANCELLED) and free
            case Action.REQUEUE:
                return processing and not self._alive(record.worker, now)
            case Action.PRIORITISE:
                return record.state in LIVE and not processing and record.priority != change.priority
            case Action.DELETE:
                return not processing or not self._alive(record.worker, now)

    def _apply(self, record: Record, change: Change, now: int) -> None:
        match change.action:
            case Action.CANCEL if record.state is State.PROCESSING:
                record.cancelling = change.reason or ""
                record.updated_at = now
            case Action.CANCEL:
                record.error = change.reason
                self._shelf.move(record, State.CANCELLED, now)
            case Action.RETRY:
                record.max_attempts = max(record.max_attempts, record.attempt - record.crashes + 1)
                record.max_crashes = max(record.max_crashes, record.crashes + 1)
                record.run_at = now
                record.finished_at = None
                self._shelf.move(record, State.QUEUED, now)
            case Action.REQUEUE:
                self._crash(record, now, capped=False)
            case Action.PRIORITISE:
                record.priority = change.priority
                record.updated_at = now
                if record.state is State.QUEUED:
                    self._shelf.replace(record)
            case Action.DELETE:
                self._shelf.delete(record)

    @immediate_waking
    def pause(self, queue: str, paused: bool) -> None:
        """See `Store.pause`."""
        self._paused[queue] = paused

    @immediate_waking
    def restore(self, jobs: Sequence[Job]) -> int:
        """See `Store.restore`."""
        return sum(self._restore(job) for job in jobs)

    def _restore(self, job: Job) -> bool:
        if job.id in self._shelf.by_id or (job.state in LIVE and job.key is not None and job.key in self._shelf.keys):
            return False
        record = from_job(job, self._shelf.next_ref())
        self._shelf.add(record)
        return True

    # --- readers ----------------------------------------------------------------------------------------------------

    @immediate
    def find(self, which: Filter = Filter(), page: Page = Page()) -> list[Job]:
        """See `Store.find`."""
        matching = (
            record
            for record in self._shelf.matching(which, self._now())
            if (page.before is None or record.id < page.before) and (page.after is None or record.id > page.after)
        )
        first = heapq.nlargest if page.after is None else heapq.nsmallest
        return [to_job(record) for record in first(page.limit, matching, key=lambda record: record.id)]

    @immediate
    def count(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> dict[str, int]:
        """See `Store.count`."""
        values = (getattr(record, by) for record in self._shelf.matching(which, self._now()))
        return dict(Counter(str(value) for value in values if value is not None))

    @immediate
    def census(self) -> Census:
        """See `Store.census`."""
        now = self._now()
        states: dict[str, Counter[State]] = {name: Counter() for name in self._paused}
        due: dict[str, int] = {}
        for record in self._shelf.by_id.values():
            if record.state in LIVE:
                states.setdefault(record.queue, Counter())[record.state] += 1
            if record.state is State.QUEUED:
                due[record.queue] = min(record.run_at, due.get(record.queue, record.run_at))
        queues = [
            QueueInfo(
                name=name,
                paused=self._paused.get(name, False),
                waiting=count[State.WAITING],
                scheduled=count[State.SCHEDULED],
                queued=count[State.QUEUED],
                processing=count[State.PROCESSING],
                oldest=max(0, now - due[name]) / SECOND if name in due else None,
            )
            for name, count in sorted(states.items())
        ]
        workers = [msgspec.structs.replace(w, running=len(self._shelf.held[w.id])) for w in self._workers.values()]
        return Census(queues, sorted(workers, key=lambda worker: (worker.started_at, worker.id)))

    def _alive(self, worker: str | None, now: int) -> bool:
        known = self._workers.get(worker or "")
        return known is not None and known.lease_until > now


def _takes(routing: Routing, record: Record) -> bool:
    if record.task not in routing.tasks:
        return False
    if routing.tags is None:
        return True
    return not routing.tags.isdisjoint(list_of(record.tags)) if record.tags else routing.untagged
