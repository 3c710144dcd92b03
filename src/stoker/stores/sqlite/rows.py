"""Rows of the SQLite store: jobs and outcomes as its statements take them."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.job import NewJob, Outcome
from stoker.stores.record import CODES, Record, first_place, strings


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


def full_row(record: Record) -> tuple[Any, ...]:
    """The values of a record that is put back."""
    expires_at = None if record.finished_at is None else record.finished_at + record.keep_for
    facts = msgspec.structs.asdict(record) | {
        "ref": None,
        "state": CODES[record.state],
    }  # the database gives the number
    return (*facts.values(), expires_at)


def shown(column: str) -> str:
    """A column as people read it: a worker by its id."""
    return "(SELECT id FROM stoker_workers WHERE ref = stoker_jobs.worker)" if column == "worker" else column


def slot(column: str) -> str:
    """The reverse of `shown`."""
    return "(SELECT ref FROM stoker_workers WHERE id = ?)" if column == "worker" else "?"


def said(outcome: Outcome) -> str:
    """A plain outcome as the statement `complete` reads it."""
    return f"{outcome.fence} {outcome.result}"
