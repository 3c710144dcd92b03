"""The row that every store keeps of a job, and its two translations: from a `NewJob`, and to and from a `Job`.

Instants and spans are integers, documents are JSON text: what a database holds, and what a hot path can copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from stoker.clock import SECOND, to_datetime, to_instant, to_span
from stoker.job import FINAL, Failure, Job, NewJob, ParentFailure, State
from stoker.store import Command, Worker

CODES: Final[Mapping[State, int]] = {state: number for number, state in enumerate(State)}
"""States as databases hold them. New ones go to the end: a number is for ever."""

STATES: Final = tuple(State)
"""The reverse of `CODES`."""

PARKED: Final = 7
"""Where a database keeps queued jobs that are over their limit, out of the way of claims. People see them as queued."""


class Record(msgspec.Struct):
    """A job as a store keeps it. The order of the fields is the order of columns in every `SELECT` of a record."""

    ref: int
    id: str
    task: str
    queue: str
    payload: str
    state: State
    priority: int
    run_at: int
    max_attempts: int
    max_crashes: int
    keep_for: int
    created_at: int
    updated_at: int
    owner: str | None = None
    key: str | None = None
    tags: str | None = None
    overrides: str | None = None
    meta: str | None = None
    parents: str | None = None
    workflow: str | None = None
    schedule: str | None = None
    attempt: int = 0
    crashes: int = 0
    fence: int = 0
    worker: str | None = None
    cancelling: str | None = None
    """the reason ('' for none) once a processing job was asked to stop"""
    progress: float | None = None
    message: str | None = None
    checkpoint: str | None = None
    result: str | None = None
    error: str | None = None
    errors: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    on_parent_failure: str | None = None
    """None: as usual, `cancel`"""
    parent_failed: bool = False
    limit_key: str | None = None
    share: str | None = None
    open_parents: str | None = None
    """for reading: a JSON array, sorted; stores keep them in a better way"""


COLUMNS = Record.__struct_fields__
"""The names of the fields, in order."""

_STATE: Final = COLUMNS.index("state")


class _Entry(msgspec.Struct, omit_defaults=True):
    """A `Failure` as it is stored, with an instant."""

    attempt: int
    type: str
    message: str
    traceback: str | None = None
    worker: str | None = None
    at: int | None = None


_entries = msgspec.json.Decoder(tuple[_Entry, ...])
_strings = msgspec.json.Decoder(tuple[str, ...])


def to_json(value: object) -> str:
    """A JSON value as text."""
    return msgspec.json.encode(value).decode()


def entry(failure: Failure, worker: str | None, now: int | None) -> str:
    """A failure as it is stored in `errors`, blamed on a worker at an instant; None is left out."""
    return to_json(_Entry(failure.attempt, failure.type, failure.message, failure.traceback, worker, now))


def appended(errors: str | None, new: str) -> str:
    """The JSON array of entries with one more."""
    return f"[{new}]" if errors is None else f"{errors[:-1]},{new}]"


def strings(values: Sequence[str]) -> str | None:
    """Tags or parents as they are stored: a JSON array, or None for none."""
    return to_json(list(values)) if values else None


def list_of(text: str | None) -> tuple[str, ...]:
    """The reverse of `strings`."""
    return () if text is None else _strings.decode(text)


def first_place(job: NewJob, now: int) -> tuple[State, int]:
    """The state of a job that is inserted now (unless it has no open parents), and when it is due."""
    run_at = now + job.delay if job.run_at is None else job.run_at
    if job.guard is not None and job.guard.last:
        run_at = now + job.guard.span
    if job.parents:
        return State.WAITING, run_at
    return (State.SCHEDULED if run_at > now else State.QUEUED), run_at


def policy_of(on_parent_failure: ParentFailure) -> str | None:
    """The policy as it is stored."""
    return None if on_parent_failure is ParentFailure.CANCEL else on_parent_failure.value


def from_new(job: NewJob, ref: int, now: int) -> Record:
    """The record of a job that is inserted now."""
    state, run_at = first_place(job, now)
    return Record(
        ref=ref,
        id=job.id,
        task=job.task,
        queue=job.queue,
        payload=job.payload,
        state=state,
        priority=job.priority,
        run_at=run_at,
        max_attempts=job.max_attempts,
        max_crashes=job.max_crashes,
        keep_for=job.keep_for,
        created_at=now,
        updated_at=now,
        owner=job.owner,
        key=job.key,
        tags=strings(job.tags),
        overrides=job.overrides,
        meta=job.meta,
        parents=strings(job.parents),
        workflow=job.workflow,
        schedule=job.schedule,
        on_parent_failure=policy_of(job.on_parent_failure),
        limit_key=None if job.limit is None else job.limit.key,
        share=job.share,
    )


def record_of(row: tuple[Any, ...]) -> Record:
    """A row of a `SELECT` of the `COLUMNS` as a record."""
    record = Record(*row)
    record.state = STATES[row[_STATE]]
    return record


def to_job(record: Record) -> Job:
    """The record as people read it."""
    args, kwargs = msgspec.json.decode(record.payload)
    return Job(
        id=record.id,
        task=record.task,
        queue=record.queue,
        args=args,
        kwargs=kwargs,
        state=State(record.state),
        priority=record.priority,
        owner=record.owner,
        key=record.key,
        tags=list_of(record.tags),
        attempt=record.attempt,
        max_attempts=record.max_attempts,
        crashes=record.crashes,
        max_crashes=record.max_crashes,
        progress=record.progress,
        message=record.message,
        result=_value(record.result),
        error=record.error,
        errors=tuple(_failure(e) for e in _entries.decode(record.errors)) if record.errors else (),
        checkpoint=_value(record.checkpoint),
        meta=_value(record.meta),
        overrides=_value(record.overrides),
        parents=list_of(record.parents),
        workflow=record.workflow,
        schedule=record.schedule,
        worker=record.worker,
        created_at=to_datetime(record.created_at),
        run_at=to_datetime(record.run_at),
        started_at=None if record.started_at is None else to_datetime(record.started_at),
        finished_at=None if record.finished_at is None else to_datetime(record.finished_at),
        updated_at=to_datetime(record.updated_at),
        keep_for=record.keep_for / SECOND,
        fence=record.fence,
        cancel_requested=record.cancelling is not None,
        on_parent_failure=ParentFailure(record.on_parent_failure or ParentFailure.CANCEL),
        open_parents=list_of(record.open_parents),
        parent_failed=bool(record.parent_failed),
        limit=record.limit_key,
        share=record.share,
    )


def from_job(job: Job, ref: int) -> Record:
    """The record that `to_job` would read as this job. Finished or not is said by the state alone."""
    finished_at = (job.finished_at or job.updated_at) if job.state in FINAL else None
    waiting = job.state is State.WAITING
    return Record(
        ref=ref,
        id=job.id,
        task=job.task,
        queue=job.queue,
        payload=to_json([job.args, job.kwargs]),
        state=job.state,
        priority=job.priority,
        run_at=to_instant(job.run_at),
        max_attempts=job.max_attempts,
        max_crashes=job.max_crashes,
        keep_for=to_span(job.keep_for),
        created_at=to_instant(job.created_at),
        updated_at=to_instant(job.updated_at),
        owner=job.owner,
        key=job.key,
        tags=strings(job.tags),
        overrides=_text(job.overrides),
        meta=_text(job.meta),
        parents=strings(job.parents),
        workflow=job.workflow,
        schedule=job.schedule,
        attempt=job.attempt,
        crashes=job.crashes,
        fence=job.fence,
        worker=job.worker,
        cancelling=(job.error or "") if job.cancel_requested and job.state is State.PROCESSING else None,
        progress=job.progress,
        message=job.message,
        checkpoint=_text(job.checkpoint),
        result=None if job.result is None else to_json(job.result),
        error=job.error,
        errors=to_json([_stored(failure) for failure in job.errors]) if job.errors else None,
        started_at=None if job.started_at is None else to_instant(job.started_at),
        finished_at=None if finished_at is None else to_instant(finished_at),
        on_parent_failure=policy_of(job.on_parent_failure),
        parent_failed=job.parent_failed and waiting,
        limit_key=job.limit,
        share=job.share,
        open_parents=strings(job.open_parents) if waiting else None,
    )


def worker_of(*row: Any) -> Worker:
    """A worker as stores keep it, its queues and tags as `strings`."""
    id, host, pid, version, queues, tags, concurrency, started_at, seen_at, lease_until, running, command = row
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
        command=None if command is None else Command(command),
    )


def _value(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)


def _text(value: object) -> str | None:
    return None if value is None else to_json(value)


def _failure(e: _Entry) -> Failure:
    at = None if e.at is None else to_datetime(e.at)
    return Failure(attempt=e.attempt, type=e.type, message=e.message, traceback=e.traceback, worker=e.worker, at=at)


def _stored(failure: Failure) -> _Entry:
    at = None if failure.at is None else to_instant(failure.at)
    return _Entry(failure.attempt, failure.type, failure.message, failure.traceback, failure.worker, at)
