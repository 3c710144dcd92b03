"""What a schedule's document says: what to enqueue and when, who declared it, and what it did last."""

from __future__ import annotations

from datetime import tzinfo
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from stoker.job import NewJob
from stoker.schedule import Schedule
from stoker.timing.expression import Timing, parse
from stoker.timing.zone import zone

KEPT_RUNS: Final = 20

BY_HAND: Final = "api"
"""The origin of schedules that were made at run time. Those are never retired."""


class Misfire(StrEnum):
    """What becomes of ticks that nobody was there for."""

    SKIP = "skip"
    """nothing; a tick counts for a minute"""
    ONE = "one"
    """one job for all of them: the newest"""
    ALL = "all"
    """a job for each, up to 100: the newest"""


class Overlap(StrEnum):
    """What becomes of a tick while a job of an earlier one is unfinished."""

    ALLOW = "allow"
    SKIP = "skip"


class Definition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was declared. Two that are equal are the same declaration."""

    job: NewJob
    """the job of a tick, but for its id and its time"""
    expression: str
    tz: str | None = None
    jitter: int = 0
    """span within which the jobs of all schedules are spread"""
    start: int | None = None
    """instant before which there are no ticks"""
    end: int | None = None
    """instant after which there are none"""
    misfire: Misfire = Misfire.ONE
    overlap: Overlap = Overlap.ALLOW
    run_on_start: bool = False
    origin: str = BY_HAND
    """what declared it, as `code:jobs`"""

    @property
    def timing(self) -> Timing:
        """When it ticks."""
        return parse(self.expression)

    @property
    def zone(self) -> tzinfo:
        """Where."""
        return zone(self.tz)


class Why(StrEnum):
    """What made a run, other than its time; or why there was none."""

    STARTED = "start"
    ASKED = "by hand"
    LATE = "late"
    """skipped: it was missed, and may not be made up for"""
    BUSY = "busy"
    """skipped: a job of an earlier tick was unfinished"""


class Run(Struct, frozen=True, omit_defaults=True):
    """What became of one tick."""

    tick: int
    at: int
    """instant at which it was decided, by the store's clock"""
    job: str | None = None
    """the job's id; None: it was skipped"""
    why: Why | None = None


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A definition and what happened to it."""

    definition: Definition
    paused: bool = False
    """a person's word; it outlives declarations"""
    retired: bool = False
    """its declaration is gone"""
    last: int | None = None
    """the last tick that was decided"""
    runs: tuple[Run, ...] = ()
    """oldest first"""
    open: tuple[str, ...] = ()
    """ids of jobs that were unfinished when last looked at; with `Overlap.SKIP`"""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Document).decode


def write(document: Document) -> str:
    """The document as text."""
    return _encode(document).decode()


def read(schedule: Schedule) -> Document:
    """The document of a schedule. Raises `ValueError` where this version cannot read it."""
    try:
        return _decode(schedule.document)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the document of the schedule {schedule.name!r} cannot be read: {error}") from error
