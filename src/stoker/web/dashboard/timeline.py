"""The life of one job: what happened when, and how long each part of it took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from stoker.job import Failure, Job, Log, State
from stoker.web.dashboard.words import line, seconds_between, span

_NARROWEST: Final = 2.0
"""Percent of the track that a stretch has at least, so that it can be seen."""
_EARLY: Final = 1.0
"""Seconds by which a job must be put off for that to be worth a word."""
_AT_ONCE: Final = 1.0
"""Seconds between a job's last failure and its end, at most, where the one is the other."""


class Moment(Struct, frozen=True):
    """Something that happened, or will."""

    icon: str
    kind: str
    """the state whose colour it has"""
    title: str
    at: datetime
    after: float | None = None
    """seconds since the moment before"""
    note: str | None = None


class Stretch(Struct, frozen=True):
    """A part of the job's life."""

    kind: str
    seconds: float
    start: float
    width: float
    """both percent of the whole"""

    @property
    def label(self) -> str:
        """`queued 3.2 s`."""
        return f"{_NAMES.get(self.kind, self.kind)} {span(self.seconds)}"


_NAMES: Final[Mapping[str, str]] = {
    "processing": "running",
    "retrying": "earlier attempts and pauses",
    "completed": "ran",
    "failed": "last attempt",
    "cancelled": "ran until cancelled",
}


def moments(job: Job) -> Sequence[Moment]:
    """What happened to the job, the oldest first, and when it is due."""
    found = [Moment("plus", "queued", "Enqueued", job.created_at)]
    if job.schedule is not None:
        found[0] = Moment("schedules", "scheduled", "Enqueued by a schedule", job.created_at, note=job.schedule)
    first = min((failure.at for failure in job.errors if failure.at is not None), default=None)
    if seconds_between(job.created_at, job.run_at) > _EARLY and (first is None or job.run_at < first):
        title = "Due" if job.state is not State.SCHEDULED else "Will be due"
        found.append(Moment("scheduled", "scheduled", title, job.run_at))
    found += [
        Moment("failed", "failed", f"Attempt {failure.attempt} failed", failure.at, note=line(failure.summary, 200))
        for failure in job.errors
        if failure.at is not None and not _is_end(failure, job)
    ]
    if job.started_at is not None:
        found.append(Moment("processing", "processing", f"Attempt {job.attempt} began", job.started_at))
    if job.finished_at is not None:
        found.append(_end(job, job.finished_at))
    elif job.errors and job.state in (State.SCHEDULED, State.QUEUED):
        found.append(Moment("scheduled", "scheduled", "Next attempt", job.run_at))
    found.sort(key=lambda moment: moment.at)
    later = [replace(moment, after=seconds_between(before.at, moment.at)) for before, moment in pairwise(found)]
    return [found[0], *later]


def _end(job: Job, at: datetime) -> Moment:
    title = {State.COMPLETED: "Completed", State.FAILED: "Failed for good", State.CANCELLED: "Cancelled"}[job.state]
    why = job.error if job.state is not State.COMPLETED else None
    return Moment(job.state.value, job.state.value, title, at, note=None if why is None else line(why, 200))


def _is_end(failure: Failure, job: Job) -> bool:
    """Whether it is the failed attempt with which the job failed: one line says both."""
    return (
        job.state is State.FAILED
        and failure is job.errors[-1]
        and failure.at is not None
        and job.finished_at is not None
        and abs(seconds_between(failure.at, job.finished_at)) < _AT_ONCE
    )


def track(job: Job, now: datetime) -> Sequence[Stretch]:
    """The parts of its life so far, side by side, as wide as they were long."""
    end = job.finished_at or now
    due = min(max(job.created_at, job.run_at if not job.errors else job.created_at), end)
    parts: list[tuple[str, float]] = []
    before = "waiting" if job.parents else "scheduled"
    parts.append((before, seconds_between(job.created_at, due)))
    if job.started_at is not None and job.started_at <= end:
        parts.append(("retrying" if job.errors else "queued", seconds_between(due, job.started_at)))
        parts.append((job.state.value if job.finished else "processing", seconds_between(job.started_at, end)))
        if job.state in (State.SCHEDULED, State.QUEUED):
            parts[-1] = ("retrying", parts[-1][1])
    else:
        parts.append(("waiting" if job.state is State.WAITING else "queued", seconds_between(due, end)))
    return _laid_out([(kind, seconds) for kind, seconds in parts if seconds > 0])


def _laid_out(parts: Sequence[tuple[str, float]]) -> Sequence[Stretch]:
    whole = sum(seconds for _, seconds in parts)
    if whole <= 0:
        return []
    widths = [max(_NARROWEST, 100 * seconds / whole) for _, seconds in parts]
    scale = 100 / sum(widths)
    found: list[Stretch] = []
    start = 0.0
    for (kind, seconds), width in zip(parts, widths, strict=True):
        found.append(Stretch(kind, seconds, round(start, 2), round(width * scale, 2)))
        start += width * scale
    return found


class Attempt(Struct, frozen=True):
    """One try at a job, as far as the record knows it."""

    number: int
    failure: Failure | None
    """None: it did not fail, or runs"""
    logs: Sequence[str]
    """several, where an attempt was taken back and made again"""


def attempts(number: int, failures: Sequence[Failure], logs: Sequence[Log]) -> Sequence[Attempt]:
    """Failures and logs put together, the last attempt, of that number, first."""
    failed = {failure.attempt: failure for failure in failures}
    said: defaultdict[int, list[str]] = defaultdict(list)
    for log in logs:
        said[log.attempt].append(log.text)
    numbers = {*failed, *said, number} - {0}
    return [Attempt(one, failed.get(one), said.get(one, [])) for one in sorted(numbers, reverse=True)]
