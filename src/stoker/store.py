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

from stoker.job import Claim, Inserted, Job, NewJob, Outcome, Progress, State
from stoker.plan import Plan


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


class Orders(Struct, frozen=True):
    """What a worker hears."""

    alive: bool
    cancel: Sequence[tuple[int, int]] = ()
    """claims `(ref, fence)` of this worker that are asked to stop"""


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
                  `max_crashes` if need be; not those whose key another unfinished job has taken
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


class QueueInfo(Struct, frozen=True, kw_only=True):
    """One queue as it stands."""

    name: str
    paused: bool = False
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


class Store(Protocol):
    """Where jobs live."""

    @property
    def traits(self) -> Traits:
        """What this store can do."""
        ...

    # --- a job's life -----------------------------------------------------------------------------------------------

    def insert(self, jobs: Sequence[NewJob]) -> Plan[list[Inserted]]:
        """Make these jobs, all or none; one answer a job, in order.

        A job whose key an unfinished job has (one of the same call included) is not made: the answer names that job.
        Nor is one whose id exists, which counts first; the same id twice in a call is one job. A job is `waiting`
        while it has unfinished parents, else `scheduled` while it is not due, else `queued`.
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
        """
        ...

    def register(self, worker: Worker, lease: int) -> Plan[None]:
        """Make the worker known and alive for a lease (span). Known already: its lease is renewed."""
        ...

    def heartbeat(self, worker: str, progress: Sequence[Progress] = (), lease: int | None = None) -> Plan[Orders]:
        """Record the progress of claims still held, renew the lease (None: leave it), and say what `hear` says.

        A lease that ran out is not renewed.
        """
        ...

    def hear(self, worker: str) -> Plan[Orders]:
        """Tell the worker whether it is alive and which of its claims are asked to stop. Changes nothing."""
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

        What records say of a worker that is gone for months may be forgotten as well.
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

    def restore(self, jobs: Sequence[Job]) -> Plan[int]:
        """Put records back with their ids, states and history; those whose id exists, or whose key another unfinished
        job has, are skipped. Returns how many were put back.
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
