"""A schedule as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from stoker.clock import SECOND, to_datetime
from stoker.schedule import Schedule
from stoker.timing.definition import Document, Misfire, Overlap, Run, Why


class ScheduleRun(Struct, frozen=True):
    """What became of one tick."""

    tick: datetime
    """when it was due; the schedule's next job may be later, by the jitter"""
    at: datetime
    """when that was decided"""
    job: str | None
    """the job's id; None: the tick was skipped"""
    why: Why | None
    """`late`, `busy`: why it was skipped; `start`, `by hand`: what made it besides the time"""


class ScheduleRecord(Struct, frozen=True, kw_only=True):
    """A schedule, as it was when it was read. Times are aware UTC datetimes, spans are seconds."""

    name: str
    expression: str
    tz: str | None
    """None: UTC"""
    task: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    state: str
    """`active`, `paused` (by a person), `retired` (nothing declares it any more), `ended` (there are no more ticks)"""
    next_at: datetime | None
    """the next tick; None: there is none"""
    last_at: datetime | None
    """the last one that was decided"""
    queue: str
    priority: int
    jitter: float
    start: datetime | None
    end: datetime | None
    misfire: Misfire
    overlap: Overlap
    run_on_start: bool
    origin: str
    """`code:MODULE`, `file:MODULE` (of the app), or `api`: made at run time"""
    runs: tuple[ScheduleRun, ...]
    """the last 20, oldest first"""


def record(schedule: Schedule, document: Document) -> ScheduleRecord:
    """The record of a schedule."""
    definition = document.definition
    job = definition.job
    args, kwargs = msgspec.json.decode(job.payload)
    return ScheduleRecord(
        name=schedule.name,
        expression=definition.expression,
        tz=definition.tz,
        task=job.task,
        args=args,
        kwargs=kwargs,
        state=_state(schedule, document),
        next_at=_moment(schedule.next_at),
        last_at=_moment(document.last),
        queue=job.queue,
        priority=job.priority,
        jitter=definition.jitter / SECOND,
        start=_moment(definition.start),
        end=_moment(definition.end),
        misfire=definition.misfire,
        overlap=definition.overlap,
        run_on_start=definition.run_on_start,
        origin=definition.origin,
        runs=tuple(_run(run) for run in document.runs),
    )


def _state(schedule: Schedule, document: Document) -> str:
    if document.retired:
        return "retired"
    if document.paused:
        return "paused"
    return "ended" if schedule.next_at is None else "active"


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


def _run(run: Run) -> ScheduleRun:
    return ScheduleRun(to_datetime(run.tick), to_datetime(run.at), run.job, run.why)
