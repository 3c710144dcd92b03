"""Rows of the SQLite store: jobs, outcomes and workers as its statements take them and give them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stoker.job import NewJob, Outcome, Verdict
from stoker.store import Worker
from stoker.stores.record import CODES, COLUMNS, STATES, Record, entry, first_place, list_of, strings

_STATE: Final = COLUMNS.index("state")


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


def record_of(row: tuple[Any, ...]) -> Record:
    """A row of a `SELECT` as a record."""
    record = Record(*row)
    record.state = STATES[row[_STATE]]
    return record


def shown(column: str) -> str:
    """A column as people read it: a worker by its id."""
    return "(SELECT id FROM stoker_workers WHERE ref = stoker_jobs.worker)" if column == "worker" else column


def slot(column: str) -> str:
    """The reverse of `_shown`."""
    return "(SELECT ref FROM stoker_workers WHERE id = ?)" if column == "worker" else "?"


def is_plain(outcome: Outcome) -> bool:
    """Whether the statement `complete` can say it all."""
    return (
        outcome.verdict is Verdict.COMPLETED
        and outcome.result is not None
        and outcome.progress is None
        and outcome.message is None
        and outcome.checkpoint is None
    )


def said(outcome: Outcome) -> str:
    """A plain outcome as `complete` reads it."""
    return f"{outcome.fence} {outcome.result}"


def consequence(outcome: Outcome) -> dict[str, Any]:
    """An outcome as the statement `settle` reads it; `worker` and `at` of the entry are filled in there."""
    facts: dict[str, Any] = msgspec.structs.asdict(outcome)
    failure = facts.pop("failure")
    if failure is not None and outcome.verdict in (Verdict.RETRY, Verdict.FAILED):
        facts["entry"] = entry(failure, None, 0)
        facts["error"] = failure.summary
    return facts


def worker_of(*row: Any) -> Worker:
    """A row of `workers`."""
    id, host, pid, version, queues, tags, concurrency, started_at, seen_at, lease_until, running = row
    return Worker(
        id=id,
        host=host,
        pid=pid,
        version=version,
        queues=list_of(queues),
        tags=list_of(tags),
        concurrency=concurrency,
        started_at=started_at,
        seen_at=seen_at,
        lease_until=lease_until,
        running=running,
    )
