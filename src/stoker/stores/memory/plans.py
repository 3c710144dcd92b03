"""The memory store: the contract in plain Python, written to be read.

Other stores must agree with it in lockstep (`tests/agreement`). It is also what `mode="async"` runs on, so claims come
from heaps and do not slow down under a backlog. Every verb runs under its driver's lock.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from stoker.clock import Clock, now
from stoker.job import (
    FINAL,
    LIVE,
    Claim,
    Inserted,
    Job,
    Log,
    NewJob,
    Outcome,
    Progress,
    State,
    Verdict,
)
from stoker.store import (
    Action,
    Census,
    Change,
    Command,
    Exchanged,
    Facet,
    Filter,
    Flow,
    Orders,
    Page,
    QueueLimit,
    Recovered,
    Routing,
    Traits,
    Want,
    Worker,
)
from stoker.stores.memory.audit import MemoryAudit
from stoker.stores.memory.family import Family
from stoker.stores.memory.guards import Guards
from stoker.stores.memory.immediate import immediate, immediate_waking
from stoker.stores.memory.limits import Limits
from stoker.stores.memory.locks import MemoryLocks
from stoker.stores.memory.logs import Logs
from stoker.stores.memory.roster import Roster
from stoker.stores.memory.schedules import MemorySchedules
from stoker.stores.memory.settling import Settling
from stoker.stores.memory.shelf import Shelf
from stoker.stores.memory.tallies import MemoryTallies
from stoker.stores.memory.views import flows_of, queues_of
from stoker.stores.record import Record, from_job, from_new, list_of, strings, to_job
from stoker.views import Changes, Totals


class MemoryStore:
    """Jobs in this process's memory. They end with it."""

    traits = Traits(durable=False, borrows=False, shared=False)

    def __init__(self, clock: Clock = now) -> None:
        self._now = clock
        self._shelf = Shelf()
        self._family = Family(self._shelf)
        self._limits = Limits(self._shelf)
        self._guards = Guards(self._shelf)
        self._paused: dict[str, bool] = {}
        self.schedules = MemorySchedules(clock, self._insert)
        self.locks = MemoryLocks(clock)
        self.tallies = MemoryTallies(clock)
        self.audit = MemoryAudit(clock)
        self._logs = Logs()
        self._settling = Settling(self._shelf, self._logs)
        self._roster = Roster()
        self._kept: dict[str, str] = {}

    # --- a job's life -----------------------------------------------------------------------------------------------

    @immediate_waking
    def insert(self, jobs: Sequence[NewJob]) -> list[Inserted]:
        """See `Store.insert`."""
        now = self._now()
        return [self._insert(job, now) for job in jobs]

    def _insert(self, job: NewJob, now: int) -> Inserted:
        other = self._in_the_way(job, now)
        if other is not None:
            return Inserted(other, created=False)
        record = from_new(job, self._shelf.next_ref(), now)
        self._shelf.add(record)
        if job.limit is not None:
            self._limits.put(job.limit)
        if job.guard is not None:
            self._guards.put(job.guard, record, now)
        if job.extends is not None:
            self._family.extend(record, job.extends, now)
        if job.parents:
            self._family.join(record, now)
            if record.state in FINAL:
                self._family.conclude([record], now)
        return Inserted(job.id, created=True)

    def _in_the_way(self, job: NewJob, now: int) -> str | None:
        """The job because of which this one is not made; '' where what it extends has ended."""
        if job.id in self._shelf.by_id:
            return job.id
        extended = self._shelf.by_id.get(job.extends) if job.extends is not None else None
        if job.extends is not None and (extended is None or extended.state is not State.PROCESSING):
            return ""
        if job.key is not None and job.key in self._shelf.keys:
            return self._shelf.keys[job.key].id
        return self._guards.in_place_of(job, now)

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
        refused = [outcome.ref for outcome in outcomes if not self._settling.settle(outcome, now)]
        settled = [record for outcome in outcomes if (record := self._shelf.by_ref.get(outcome.ref)) is not None]
        if known is not None:
            for record in [r for ref, r in self._shelf.held[worker].items() if ref not in known]:
                self._settling.settle(Outcome(record.ref, record.fence, Verdict.RELEASED), now)
                settled.append(record)
        self._conclude(settled, now)
        self._shelf.promote(now)
        self._limits.mend(now)
        alive = self._roster.alive(worker, now)
        ready = sorted(name for name, count in self._shelf.queued.items() if count and not self._paused.get(name))
        claims: list[Claim] = []
        if alive:
            for want in wants:
                room = min(want.limit, limit - len(claims))
                if want.queue is not None:
                    claims += self._claim(worker, want.queue, routing, room, now)
                else:
                    claims += self._claim_in_turns(worker, routing, ready, room, turn, now)
        spans = [span for span in (self._shelf.due_in(now), self._limits.token_in(now)) if span is not None]
        return Exchanged(claims, refused, min(spans, default=None), alive)

    def _conclude(self, records: Sequence[Record], now: int) -> None:
        """Draw the consequences for those of the records that ended just now."""
        self._family.conclude([record for record in records if record.state in FINAL], now)

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
        room = min(room, self._limits.room_in(queue, now))
        if room <= 0 or self._paused.get(queue):
            return []
        claims: list[Claim] = []
        room_for = partial(self._limits.room, now=now)
        for record in self._shelf.first(queue, room, partial(_takes, routing), room_for):
            record.fence += 1
            record.attempt += 1
            record.worker = worker
            record.started_at = now
            self._shelf.move(record, State.PROCESSING, now)
            self._limits.take(queue, record.limit_key, now)
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

    @immediate
    def register(self, worker: Worker, lease: int) -> None:
        """See `Store.register`."""
        self._roster.register(worker, self._now(), lease)

    @immediate
    def heartbeat(self, worker: str, progress: Sequence[Progress] = (), lease: int | None = None) -> Orders:
        """See `Store.heartbeat`."""
        now = self._now()
        for report in progress:
            record = self._shelf.by_ref.get(report.ref)
            if record and record.state is State.PROCESSING and record.fence == report.fence:
                self._settling.report(record, report)
                record.updated_at = now
        if lease is not None and self._roster.alive(worker, now):
            self._roster.renew(worker, now, lease)
        return self._orders(worker, now)

    @immediate
    def hear(self, worker: str) -> Orders:
        """See `Store.hear`."""
        return self._orders(worker, self._now())

    def _orders(self, worker: str, now: int) -> Orders:
        asked = [(r.ref, r.fence) for r in self._shelf.held[worker].values() if r.cancelling is not None]
        return Orders(self._roster.alive(worker, now), sorted(asked), self._roster.told(worker))

    @immediate
    def command(self, worker: str, command: Command | None) -> bool:
        """See `Store.command`."""
        return self._roster.tell(worker, command, self._now())

    @immediate
    def retire(self, worker: str) -> None:
        """See `Store.retire`."""
        self._roster.forget(worker)

    @immediate_waking
    def recover(self, limit: int = 1000) -> Recovered:
        """See `Store.recover`."""
        now = self._now()
        lost = [
            r for name, held in self._shelf.held.items() if not self._roster.alive(name, now) for r in held.values()
        ]
        lost.sort(key=lambda record: record.ref)
        for record in lost[:limit]:
            self._settling.crash(record, now)
        failed = sum(record.state is State.FAILED for record in lost[:limit])
        queued = sum(record.state is State.QUEUED for record in lost[:limit])
        self._conclude(lost[:limit], now)
        for name in self._roster.lapsed(now):
            if not self._shelf.held[name]:
                self._roster.forget(name)
        return Recovered(queued, failed)

    @immediate
    def prune(self, limit: int = 1000) -> int:
        """See `Store.prune`."""
        now = self._now()
        self._guards.forget(now)
        self.locks.forget(now)
        self.tallies.forget(now)
        self.audit.forget(now)
        under_way = {r.workflow for r in self._shelf.by_id.values() if r.workflow is not None and r.state in LIVE}
        over = [
            (r.finished_at + r.keep_for, r)
            for r in self._shelf.by_id.values()
            if r.finished_at is not None and r.workflow not in under_way
        ]
        doomed = heapq.nsmallest(limit, ((end, r.ref, r) for end, r in over if end <= now))
        for _, _, record in doomed:
            self._delete(record)
        self._family.conclude([record for _, _, record in doomed], now, gone=True)
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
        changed: list[Record] = []
        for record in list(self._shelf.matching(which, now)):
            if len(changed) == limit:
                break
            if self._open_to(record, change, now):
                self._apply(record, change, now)
                changed.append(record)
        if change.action is Action.RETRY:
            for record in changed:
                self._family.rejoin(record, now)
        elif change.action is Action.DELETE:
            self._family.conclude(changed, now, gone=True)
        else:
            self._conclude(changed, now)
        return len(changed)

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
                return record.state in (State.FAILED, State.CANCELLED) and free and self._family.is_needed(record)
            case Action.REQUEUE:
                return processing and not self._roster.alive(record.worker, now)
            case Action.PRIORITISE:
                return record.state in LIVE and not processing and record.priority != change.priority
            case Action.DELETE:
                return not processing or not self._roster.alive(record.worker, now)

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
                self._settling.crash(record, now, capped=False)
            case Action.PRIORITISE:
                record.priority = change.priority
                record.updated_at = now
                if record.state is State.QUEUED:
                    self._shelf.replace(record)
            case Action.DELETE:
                self._delete(record)

    def _delete(self, record: Record) -> None:
        self._shelf.delete(record)
        self._logs.drop(record)

    @immediate_waking
    def pause(self, queue: str, paused: bool) -> None:
        """See `Store.pause`."""
        self._paused[queue] = paused

    @immediate_waking
    def limit(self, queue: str, limit: QueueLimit) -> None:
        """See `Store.limit`."""
        before = self._limits.of_queue(queue)
        self._limits.put_queue(queue, limit)
        self._paused.setdefault(queue, False)
        if limit.fair is not before.fair:
            self._shelf.take_turns(queue, limit.fair)

    @immediate_waking
    def restore(self, jobs: Sequence[Job]) -> int:
        """See `Store.restore`."""
        return sum(self._restore(job) for job in jobs)

    def _restore(self, job: Job) -> bool:
        if job.id in self._shelf.by_id or (job.state in LIVE and job.key is not None and job.key in self._shelf.keys):
            return False
        record = from_job(job, self._shelf.next_ref())
        self._shelf.add(record)
        parents = job.open_parents if record.state is State.WAITING else ()
        for parent in parents:
            self._family.link(parent, record.id)
        known = [self._shelf.by_id[parent] for parent in parents if parent in self._shelf.by_id]
        self._conclude([*known, record], self._now())
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
        return [self._job(record) for record in first(page.limit, matching, key=lambda record: record.id)]

    def _job(self, record: Record) -> Job:
        record.open_parents = strings(self._family.open_parents(record.id))
        return to_job(record)

    @immediate
    def count(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> dict[str, int]:
        """See `Store.count`."""
        values = (getattr(record, by) for record in self._shelf.matching(which, self._now()))
        return dict(Counter(str(value) for value in values if value is not None))

    @immediate
    def census(self) -> Census:
        """See `Store.census`."""
        now = self._now()
        queues = queues_of(self._shelf.by_id.values(), self._paused, self._limits.of_queue, now)
        return Census(queues, self._roster.census(lambda name: len(self._shelf.held[name])))

    @immediate
    def totals(self) -> Totals:
        """See `Store.totals`."""
        return Totals(dict(Counter(record.state for record in self._shelf.by_id.values())))

    @immediate
    def changes(self, seen: Mapping[str, int]) -> Changes:
        """See `Store.changes`."""
        there = {id: self._shelf.by_id[id] for id in seen if id in self._shelf.by_id}
        changed = [self._job(there[id]) for id in sorted(there) if there[id].updated_at != seen[id]]
        return Changes(changed, sorted(seen.keys() - there.keys()))

    @immediate
    def front(self, queue: str, limit: int = 1000) -> list[str]:
        """See `Store.front`."""
        return [record.id for record in self._shelf.in_line(queue, limit)]

    @immediate
    def logs(self, id: str) -> list[Log]:
        """See `Store.logs`."""
        record = self._shelf.by_id.get(id)
        return [] if record is None else self._logs.of(record)

    @immediate
    def keep(self, name: str, value: str) -> str:
        """See `Store.keep`."""
        return self._kept.setdefault(name, value)

    @immediate
    def results(self, ids: Sequence[str]) -> dict[str, str]:
        """See `Store.results`."""
        found = (self._shelf.by_id.get(id) for id in ids)
        return {r.id: r.result for r in found if r is not None and r.state is State.COMPLETED and r.result is not None}

    @immediate
    def flows(self, ids: Sequence[str] | None = None, page: Page = Page()) -> list[Flow]:
        """See `Store.flows`."""
        return flows_of(self._shelf.by_id.values(), ids, page)


def _takes(routing: Routing, record: Record) -> bool:
    if record.task not in routing.tasks:
        return False
    if routing.tags is None:
        return True
    return not routing.tags.isdisjoint(list_of(record.tags)) if record.tags else routing.untagged
