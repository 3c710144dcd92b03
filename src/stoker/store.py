"""The contract of a store. The docstrings are the specification; `stores/memory.py` is its executable form.

Rules that hold for every verb:

1. A verb returns a plan; the plan runs in one transaction, so everything it promises happens together or not at all.
2. Every verb may be repeated after a lost reply: inserts are recognised by their id, settled claims by their fence.
3. `now` is the store's own clock; no instant of the caller's clock is compared with it. Spans cross, instants do not
   (but for `run_at`, which a person chose).
4. Unknown ids are no-ops. A lost claim or a taken key is a normal answer, never an exception.
5. A worker is alive while its lease, as last granted by this store, has not run out.
6. Text is Unicode without NUL and lone surrogates; callers see to that. In JSON documents NUL stands escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from stoker.audit_store import AuditStore
from stoker.job import Claim, Inserted, Job, Log, NewJob, Outcome, Progress, State
from stoker.lock_store import LockStore
from stoker.plan import Plan
from stoker.schedule_store import ScheduleStore
from stoker.tally_store import TallyStore
from stoker.views import Changes, Totals


class Traits(Struct, frozen=True):
    """What a store can do, so that nobody needs to ask for its name."""

    durable: bool
    """a job survives the end of this process"""
    borrows: bool
    """`insert` can run in the caller's own transaction"""
    shared: bool
    """several processes may use one store"""
    undoes: bool = True
    """a plan's statements are one transaction, undone if the plan goes wrong; False: each that is `alone` is one by
    itself, and so can only go wrong before it"""


class Routing(Struct, frozen=True):
    """Which jobs a worker may run at all."""

    tasks: frozenset[str]
    """names that it knows; jobs of other tasks wait for a worker that does"""
    tags: frozenset[str] | None = None
    """None: whatever their tags; else only jobs that share one"""
    untagged: bool = False
    """with `tags`: jobs without any tag as well"""


class Want(Struct, frozen=True):
    """Room for up to `limit` jobs of one queue, or (None) of all queues in turns."""

    queue: str | None
    limit: int


class Exchanged(Struct, frozen=True):
    """The answer to an exchange."""

    claims: Sequence[Claim]
    refused: Sequence[int] = ()
    """refs of outcomes whose claim was lost; nothing of them was recorded"""
    due_in: int | None = None
    """span until the next scheduled job, of whichever queue, is due; None: there is none"""
    alive: bool = True
    """False: the worker's lease ran out; nothing was claimed, and all that it held is lost"""


class Command(StrEnum):
    """What a person tells a worker."""

    QUIET = "quiet"
    """claim no more; what runs goes on"""
    STOP = "stop"
    """claim no more, give what runs its grace, and end"""


class Orders(Struct, frozen=True):
    """What a worker hears."""

    alive: bool
    cancel: Sequence[tuple[int, int]] = ()
    """claims `(ref, fence)` of this worker that are asked to stop"""
    command: Command | None = None
    """what it was told last; None: to work"""


class Worker(Struct, frozen=True, kw_only=True):
    """A running worker process, as it introduces itself. `id` is random and new at every start."""

    id: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    concurrency: int
    started_at: int = 0
    """instant; set by the store"""
    seen_at: int = 0
    """instant of the last heartbeat; set by the store"""
    lease_until: int = 0
    """instant; set by the store"""
    running: int = 0
    """claims held; set by the store when read"""
    command: Command | None = None
    """what it was told last; set by `Store.command`"""


class Recovered(Struct, frozen=True):
    """What a recovery did."""

    queued: int = 0
    failed: int = 0
    """these reached their `max_crashes`"""


class Filter(Struct, frozen=True, kw_only=True):
    """Which jobs; every field that is given must match."""

    ids: tuple[str, ...] | None = None
    states: tuple[State, ...] | None = None
    queue: str | None = None
    task: str | None = None
    tag: str | None = None
    owner: str | None = None
    workflow: str | None = None
    key: str | None = None
    text: str | None = None
    """occurs in the arguments' JSON, letter case ignored (ASCII)"""
    idle_for: int | None = None
    """span: nothing happened to the job for at least that long"""


class Page(Struct, frozen=True):
    """A page of a listing, newest first; with `after`, oldest first."""

    limit: int = 50
    before: str | None = None
    """only ids below this one: going back in time, the last id of the page before"""
    after: str | None = None
    """only ids above this one: going forth in time, the last id of the page before, and '' for the first page"""


class Action(StrEnum):
    """What a person can do to jobs; to which, is said here.

    `cancel`      waiting, scheduled and queued jobs end as cancelled now; processing ones are asked to stop (once)
    `retry`       failed and cancelled jobs are queued again and granted one attempt more, past `max_attempts` and
                  `max_crashes` if need be; not those whose key another unfinished job has taken. One with unfinished
                  parents (those retried with it included) waits for these; one with `ONLY` is not retried while all
                  its parents are completed or gone
    `requeue`     processing jobs whose worker is not alive are queued again, the crash counted
    `prioritise`  waiting, scheduled and queued jobs get another priority
    `delete`      all but processing jobs whose worker is alive are deleted
    """

    CANCEL = "cancel"
    RETRY = "retry"
    REQUEUE = "requeue"
    PRIORITISE = "prioritise"
    DELETE = "delete"


class Change(Struct, frozen=True):
    """An action and its particulars."""

    action: Action
    reason: str | None = None
    """with `cancel`"""
    priority: int = 0
    """with `prioritise`"""


class Facet(StrEnum):
    """By what jobs are counted."""

    STATE = "state"
    QUEUE = "queue"
    TASK = "task"
    OWNER = "owner"


class Fair(StrEnum):
    """Between whom the jobs of a queue take turns."""

    OWNER = "owner"
    SHARE = "share"
    """the argument that their tasks name with `by`"""


class QueueLimit(Struct, frozen=True):
    """What is let through a queue, across all processes; as it comes, everything."""

    concurrency: int | None = None
    """jobs processed at once"""
    rate: int | None = None
    """with `period`: a token bucket that holds `rate` and is refilled evenly, as many in a period"""
    period: int | None = None
    """span"""
    fair: Fair | None = None
    """between whom turns are taken; None: between nobody"""


class QueueInfo(Struct, frozen=True, kw_only=True):
    """One queue as it stands."""

    name: str
    paused: bool = False
    limit: QueueLimit = QueueLimit()
    waiting: int = 0
    scheduled: int = 0
    queued: int = 0
    processing: int = 0
    oldest: float | None = None
    """seconds since the first queued job was due"""


class Census(Struct, frozen=True):
    """Queues and workers as they stand; finished jobs are not counted here."""

    queues: Sequence[QueueInfo]
    workers: Sequence[Worker]


class Flow(Struct, frozen=True, kw_only=True):
    """A workflow as its jobs tell it."""

    id: str
    counts: Mapping[State, int]
    """its jobs by state; states with none are left out, and so are jobs with `ONLY` that were cancelled"""
    created_at: int
    """instant at which the first of its jobs was made"""
    updated_at: int
    """instant at which something last happened to one of them"""


class Store(Protocol):
    """Where jobs live."""

    @property
    def traits(self) -> Traits:
        """What this store can do."""
        ...

    @property
    def schedules(self) -> ScheduleStore:
        """What fires when."""
        ...

    @property
    def locks(self) -> LockStore:
        """Who holds what."""
        ...

    @property
    def tallies(self) -> TallyStore:
        """How much was done when."""
        ...

    @property
    def audit(self) -> AuditStore:
        """Who did what through a surface."""
        ...

    # --- a job's life -----------------------------------------------------------------------------------------------

    def insert(self, jobs: Sequence[NewJob]) -> Plan[list[Inserted]]:
        """Make these jobs, all or none; one answer a job, in order.

        A job whose key an unfinished job has (one of the same call included) is not made: the answer names that job.
        Nor is one whose id exists, which counts first; the same id twice in a call is one job. A job is `waiting`
        while it has open parents (see below), else `scheduled` while it is not due, else `queued`.

        Open parents are those that a job still waits for. When it is made they are those of its parents that are
        unfinished, and, with `HOLD`, those that ended badly; with `CANCEL`, one that ended badly has it cancelled at
        once, as any later end would. Ids of jobs that do not exist are nobody's parents.

        A job with `extends` becomes an open parent of everything that waits for that job, if it is processing; else
        it is not made.

        The consequences of an end, with whatever ends the job (an outcome, a recovery, a person): of each job that has
        it as an open parent, it is open no more; except that one that ended badly has it cancelled with `CANCEL` (its
        error is `PARENT_FAILED`), and stays open with `HOLD`; else that is noted. A job whose last open parent went is
        scheduled or queued; but with `ONLY`, if no parent ended badly, cancelled (its error is `NOT_NEEDED`). To be
        deleted is to end badly, with `HOLD` as with `CANCEL`. Consequences have their own, all in one transaction; of
        several jobs that end together they follow when all have.

        Guards: a job with a guard is not made if one was made under that name which stands in its place. Throttle: a
        job that was made within the span. Debounce: a job that is scheduled or queued and never began; that one takes
        this one's payload, and is due a span from now. Else it is made, with debounce due a span from now.

        Limits: `limit` says what holds for all jobs of its key from now on.
        """
        ...

    def exchange(
        self,
        worker: str,
        outcomes: Sequence[Outcome] = (),
        wants: Sequence[Want] = (),
        routing: Routing = Routing(tasks=frozenset()),
        limit: int = 0,
        turn: int = 0,
        known: Sequence[int] | None = None,
    ) -> Plan[Exchanged]:
        """Settle what is done, then claim what there is room for: one round trip.

        Settle: an outcome is recorded, with all its consequences (result, history, next attempt, key freed,
        retention), exactly if its `(ref, fence)` is a claim now held; else its ref is in `refused` and nothing
        changes. It does not matter whether the worker is alive, as long as nobody took the claim away. A job that was
        asked to cancel, and whose outcome would bring it back, ends as cancelled instead.

        Know: where `known` is given, claims of this worker whose refs are not in it are given back, as if each had an
        outcome `RELEASED`: their reply was lost, so nobody runs them, and a lease that is renewed would keep them.

        Claim: up to `limit` jobs in all and up to each want's own limit; due jobs of tasks and tags that `routing`
        lets through, of queues that are not paused; by priority, then by due time, then by order of insertion.
        Wants are served in the order given. A want for all queues shares its room evenly between the queues that have
        due jobs as the exchange begins to claim, by name, beginning with the one numbered `turn` (counted round and
        round); room that one leaves goes to the others, in the same order.
        A claimed job's fence and attempt are one higher. Only a worker that is alive claims.

        Limits: a job is passed over, and those behind it are not, while as many jobs with its limit key as its limit's
        `concurrency` are processing, or its bucket is empty; so are all jobs of a queue whose limit is reached. A claim
        takes a token from its buckets (see `stores.bucket`). `due_in` counts empty buckets that queued jobs wait for as
        well. As an exchange begins to claim, no bucket is emptier than empty.

        Fair: in a queue that is fair, jobs stand by priority, then by turn, then as above. When a job is queued, its
        turn is one past the last turn of the queued jobs of the same owner (or share; those without are together), but
        no less than the first turn of all queued jobs in its queue; the first of all is 0. Of several that are queued
        at once, the store says which comes first.
        """
        ...

    def register(self, worker: Worker, lease: int) -> Plan[None]:
        """Make the worker known and alive for a lease (span). Known already: its lease is renewed."""
        ...

    def heartbeat(self, worker: str, progress: Sequence[Progress] = (), lease: int | None = None) -> Plan[Orders]:
        """Record the progress of claims still held, renew the lease (None: leave it), and say what `hear` says.

        What an attempt logged is appended to its log (see `logs`); an outcome that is recorded does the same.
        A lease that ran out is not renewed.
        """
        ...

    def hear(self, worker: str) -> Plan[Orders]:
        """Tell the worker whether it is alive and which of its claims are asked to stop. Changes nothing."""
        ...

    def command(self, worker: str, command: Command | None) -> Plan[bool]:
        """Tell a worker something; it hears of it with its orders, until it is told otherwise (None: to work on).

        False: no worker of that id is alive, and nothing was written.
        """
        ...

    def retire(self, worker: str) -> Plan[None]:
        """Forget a worker that stopped. What it may still hold is recovered at once."""
        ...

    def recover(self, limit: int = 1000) -> Plan[Recovered]:
        """Take the claims from workers that are not alive, up to `limit` of them, counting one crash each.

        The jobs are queued again in their old place, or, at `max_crashes`, fail with a failure of type `crashed`;
        those that were asked to cancel end as cancelled. Workers that are not alive and hold nothing are forgotten.
        """
        ...

    def prune(self, limit: int = 1000) -> Plan[int]:
        """Delete up to `limit` finished jobs whose retention is over, longest over first; returns how many.

        Jobs of a workflow stay while one of its jobs is unfinished: what they returned may be asked for. What guards
        remember is forgotten with the time, and locks that nobody holds; so are tallies and entries of the audit log
        that are older than theirs may be. What records say of a worker that is gone for months may be
        forgotten as well.
        """
        ...

    # --- the schema -------------------------------------------------------------------------------------------------

    def migrate(self) -> Plan[list[str]]:
        """Bring the store's schema to this version; the names of the migrations that were applied, in order.

        Any number of processes may do it at once. Raises `StoreBroken` where a newer version wrote the store.
        """
        ...

    def pending(self) -> Plan[list[str]]:
        """The names of the migrations that `migrate` would apply now; changes nothing and waits for no writer.

        Raises what `migrate` raises.
        """
        ...

    def migrations(self) -> Mapping[str, str]:
        """The text of every migration, by name, in order; empty where a store has no schema."""
        ...

    # --- operators --------------------------------------------------------------------------------------------------

    def amend(self, which: Filter, change: Change, limit: int | None = None) -> Plan[int]:
        """Do something to the jobs that match and to which it can be done (see `Action`), up to `limit` of them.

        Returns how many were changed. Repeated with a limit until it returns 0, it changes what one call would have.
        """
        ...

    def eligible(self, which: Filter, change: Change) -> Plan[int]:
        """How many jobs `amend` would change now."""
        ...

    def pause(self, queue: str, paused: bool) -> Plan[None]:
        """Let no more jobs of the queue be claimed, or let them again. Running ones go on."""
        ...

    def limit(self, queue: str, limit: QueueLimit) -> Plan[None]:
        """Let so much through the queue from now on. Queued jobs get their turns as if they were queued anew, in the
        order in which they stand without turns.
        """
        ...

    def restore(self, jobs: Sequence[Job]) -> Plan[int]:
        """Put records back with their ids, states and history; those whose id exists, or whose key another unfinished
        job has, are skipped. Returns how many were put back.

        A waiting job waits for its `open_parents`, whether these are there or not; one that is there and finished, or
        is put back so, has its consequences. A limit's key is put back, its numbers come with the next insert.
        """
        ...

    # --- readers ----------------------------------------------------------------------------------------------------

    def find(self, which: Filter = Filter(), page: Page = Page()) -> Plan[list[Job]]:
        """Records that match, by id: newest first, or as the page says."""
        ...

    def count(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> Plan[dict[str, int]]:
        """How many match, by that facet; values with none are left out, and so are jobs without an owner."""
        ...

    def census(self) -> Plan[Census]:
        """Queues (known ones and those with unfinished jobs, by name) and workers (by start) as they stand."""
        ...

    def totals(self) -> Plan[Totals]:
        """How many jobs there are, by state, at a cost that does not grow with the finished ones beyond reason.

        Numbers of unfinished jobs are exact; those of finished ones may be the store's estimate, once there are many.
        """
        ...

    def changes(self, seen: Mapping[str, int]) -> Plan[Changes]:
        """Of these jobs, those whose `updated_at` is not the instant given (0: never seen), and those that are gone.

        One statement for any number of ids. Whatever a reader could tell of a job changes its `updated_at`, but for
        what follows from its own parameters (`run_at` passing) and its log.
        """
        ...

    def front(self, queue: str, limit: int = 1000) -> Plan[list[str]]:
        """Ids of the first queued jobs of a queue, in the order in which they would be claimed if no limit and no
        routing held any of them back.
        """
        ...

    def logs(self, id: str) -> Plan[list[Log]]:
        """What the attempts of a job logged, oldest first: of each the last `LONGEST_LOG` characters, of the last
        `LOGS_KEPT` that were claimed. They go with the job.
        """
        ...

    def keep(self, name: str, value: str) -> Plan[str]:
        """The value that is kept under this name; where there is none, this one is kept from now on."""
        ...

    def results(self, ids: Sequence[str]) -> Plan[dict[str, str]]:
        """What these jobs returned, as JSON text, by id; those that did not complete are left out."""
        ...

    def flows(self, ids: Sequence[str] | None = None, page: Page = Page()) -> Plan[list[Flow]]:
        """These workflows (None: all), by id: newest first, or as the page says. One without jobs does not exist."""
        ...
