"""Rows of the SQLite store: jobs and outcomes as its statements take them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stoker.job import NewJob, Outcome, State
from stoker.stores.record import CODES, PARKED, Record, first_place, policy_of, strings

_STATE: Final = 4
_RUN_AT: Final = 6


def repeated(insert: str, size: int) -> str:
    """An INSERT of one row as one of many."""
    head, values, tail = insert.partition("VALUES ")
    row, end, rest = tail.partition(")")
    return head + values + ", ".join([row + end] * size) + rest


def new_row(job: NewJob, now: int) -> tuple[Any, ...]:
    """The values of `insert`. Straight from the job: a `Record` between would take five times as long."""
    state, run_at = first_place(job, now)
    return (
        job.id,
        job.task,
        job.queue,
        job.payload,
        CODES[state],
        job.priority,
        run_at,
        job.max_attempts,
        job.max_crashes,
        job.keep_for,
        now,
        now,
        job.owner,
        job.key,
        strings(job.tags),
        job.overrides,
        job.meta,
        strings(job.parents),
        job.workflow,
        job.schedule,
    )


def expanded_row(job: NewJob, now: int, waits: bool, failed: bool) -> tuple[Any, ...]:
    """The values of `insert_full`. `waits`: for its parents; `failed`: it is told that one of them was."""
    row = new_row(job, now)
    state = State.SCHEDULED if row[_RUN_AT] > now else State.QUEUED
    code = CODES[State.WAITING] if waits else _code(state, limited=job.limit is not None)
    key = None if job.limit is None else job.limit.key
    return (*row[:_STATE], code, *row[_STATE + 1 :], policy_of(job.on_parent_failure), failed, key, job.share)


def full_row(record: Record) -> tuple[Any, ...]:
    """The values of a record that is put back."""
    expires_at = None if record.finished_at is None else record.finished_at + record.keep_for
    facts = msgspec.structs.asdict(record) | {
        "ref": None,  # the database gives the number
        "state": _code(record.state, limited=record.limit_key is not None),
    }
    del facts["open_parents"]
    return (*facts.values(), expires_at)


def _code(state: State, *, limited: bool) -> int:
    """The number of a state. What is limited is parked at first; then the first are let in."""
    return PARKED if limited and state is State.QUEUED else CODES[state]


_SHOWN: Final = {
    "worker": "(SELECT id FROM stoker_workers WHERE ref = stoker_jobs.worker)",
    "state": f"iif(state = {PARKED}, {CODES[State.QUEUED]}, state)",
    "open_parents": (
        f"CASE WHEN state = {CODES[State.WAITING]} THEN (SELECT json_group_array(parent) FROM ("  # noqa: S608
        "SELECT parent FROM stoker_edges WHERE child = stoker_jobs.ref ORDER BY parent)) END"
    ),
}


def shown(column: str) -> str:
    """A column as people read it: a worker by its id, what is parked as queued."""
    return _SHOWN.get(column, column)


def slot(column: str) -> str:
    """The reverse of `shown`."""
    return "(SELECT ref FROM stoker_workers WHERE id = ?)" if column == "worker" else "?"


def said(outcome: Outcome) -> str:
    """A plain outcome as the statement `complete` reads it."""
    return f"{outcome.fence} {outcome.result}"
