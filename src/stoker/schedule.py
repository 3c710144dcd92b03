"""Schedules as stores keep them: when the next tick is, and a document that only their keeper reads."""

from __future__ import annotations

from msgspec import Struct

from stoker.job import NewJob


class Schedule(Struct, frozen=True):
    """A recurring enqueue."""

    name: str
    document: str
    """JSON: what it enqueues and when, who declared it, what it did last"""
    next_at: int | None = None
    """instant of the next tick; None: there is none"""
    version: int = 0
    """grows with every write; 0: it was never written"""


class Put(Struct, frozen=True):
    """A schedule to be written, with the version that it was read with, and the jobs of its tick."""

    schedule: Schedule
    jobs: tuple[NewJob, ...] = ()
