"""What there is to tell of a job to those who follow it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from stoker import clock
from stoker.job import Job

T = TypeVar("T")


class News:
    """A job's record, and where the job stands in its queue. Never changes: what comes after it is other news."""

    __slots__ = ("_encoded", "id", "job", "position")

    def __init__(self, job: Job, position: int | None = None) -> None:
        self.job = job
        self.position = position
        """how many queued jobs are before it; None: not known, or not queued"""
        instant = clock.to_instant(job.updated_at)
        self.id = str(instant) if position is None else f"{instant}.{position}"
        """tells these news from all other news of the job"""
        self._encoded: dict[Hashable, object] = {}

    def encoded(self, audience: Hashable, encode: Callable[[News], T]) -> T:
        """What `encode` makes of these news, made once for all who are of the same audience."""
        found = self._encoded.get(audience)
        if found is None:
            found = self._encoded[audience] = encode(self)
        return cast("T", found)
