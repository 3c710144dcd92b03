"""The life of one job: what happened when, and how long each part of it took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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
    """the state whose colour it has"""
    name: str
    seconds: float
    start: float
    width: float
    """both percent of the whole"""

    @property
    def label(self) -> str:
        """`queued 3.2 s`."""
        return f"{self.name} {span(self.seconds)}"


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
    """The parts of its life so far, side by side, as wide as they were long; what the record does not know is not told.

    The record knows the last claim, the last time at which the job was due, and when attempts failed.
    """
    end = job.finished_at or now
    if job.started_at is None or job.started_at > end:
        return _laid_out(job.created_at, end, _not_begun(job))
    before = _before(job, job.started_at)
    after = _since(job, job.started_at) if _is_over(job, job.started_at) else [_at_last(job)]
    return _laid_out(job.created_at, end, [*before, *after])


class _Part(Struct, frozen=True):
    """What a job did, and until when."""

    kind: str
    name: str
    until: datetime | None = None
    """None: the end"""


_UNTIL_CANCELLED: Final = _Part("waiting", "until it was cancelled")


def _not_begun(job: Job) -> Sequence[_Part]:
    """All of the life of a job that never was claimed."""
    if not job.parents:
        return [_Part("scheduled", "scheduled", job.run_at), _Part("queued", "queued")]
    if job.state is State.CANCELLED:
        return [_UNTIL_CANCELLED]
    also = "" if job.state is State.WAITING else f" and {job.state.value}"
    return [_Part("waiting", f"waiting{also}")]


def _before(job: Job, began: datetime) -> Sequence[_Part]:
    """What was before its last claim."""
    if job.fence > 1 or job.attempt > 1:
        return [_Part("retrying", f"before attempt {max(1, job.attempt)}", began)]
    if job.parents:
        return [_Part("waiting", "waiting and queued", began)]
    if job.run_at > began:  # the time at which it was due first is not known any more
        return [_Part("queued", "before attempt 1", began)]
    return [_Part("scheduled", "scheduled", job.run_at), _Part("queued", "queued", began)]


def _at_last(job: Job) -> _Part:
    """The attempt with which it ended, or which goes on."""
    if job.state is State.CANCELLED and job.crashes:
        return _Part("cancelled", f"from attempt {job.attempt} on")  # it may have been given back before
    names = {State.COMPLETED: "ran", State.FAILED: "last attempt", State.CANCELLED: "ran until cancelled"}
    return _Part(job.state.value, names.get(job.state, "running"))


def _is_over(job: Job, began: datetime) -> bool:
    """Whether the job has left its last claim, and not for its end."""
    if job.state in (State.WAITING, State.SCHEDULED, State.QUEUED):
        return True
    put_off = job.run_at > began or not job.attempt or _failed_at(job) is not None
    return job.state is State.CANCELLED and put_off


def _since(job: Job, began: datetime) -> Sequence[_Part]:
    """What came since its last claim, where that is over."""
    failed = _failed_at(job)
    if job.run_at <= began:  # it was given back, and nobody knows when
        return [_Part("retrying", "since it last began")]
    if job.state is State.WAITING:
        last = _Part("waiting", "waiting")
    elif job.state is State.CANCELLED and job.parents:
        last = _UNTIL_CANCELLED
    else:
        last = _Part("queued", "queued again")
    if failed is None or failed < began:
        return [_Part("retrying", "last attempt and pause", job.run_at), last]
    return [_Part("retrying", f"attempt {job.attempt}", failed), _Part("scheduled", "pause", job.run_at), last]


def _failed_at(job: Job) -> datetime | None:
    """When the attempt that was counted last failed, if it did."""
    return next((failure.at for failure in reversed(job.errors) if failure.attempt == job.attempt), None)


def _laid_out(begin: datetime, end: datetime, parts: Sequence[_Part]) -> Sequence[Stretch]:
    long: list[tuple[_Part, float]] = []
    at = begin
    for part in parts:
        until = min(end, max(at, part.until or end))
        long.append((part, seconds_between(at, until)))
        at = until
    return _widened([(part, seconds) for part, seconds in long if seconds > 0])


def _widened(parts: Sequence[tuple[_Part, float]]) -> Sequence[Stretch]:
    whole = sum(seconds for _, seconds in parts)
    if whole <= 0:
        return []
    widths = [max(_NARROWEST, 100 * seconds / whole) for _, seconds in parts]
    scale = 100 / sum(widths)
    found: list[Stretch] = []
    start = 0.0
    for (part, seconds), width in zip(parts, widths, strict=True):
        found.append(Stretch(part.kind, part.name, seconds, round(start, 2), round(width * scale, 2)))
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
