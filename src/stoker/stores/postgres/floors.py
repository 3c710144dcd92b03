"""Where a worker's last claims ended, for when the way there is long.

While any transaction stays open, what it might still see cannot be cleaned up: a claim that begins at the start of its
queue walks over all jobs that were claimed since. So a worker that finds its way long begins where it ended, and goes
back to the start every so often: what came in between has to wait that long. Whose way is short begins at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stoker.clock import SECOND
from stoker.stores.record import to_json

_LONG: Final = 3_000
_LONG_EACH: Final = 15
"""Microseconds, and microseconds a claim, that a short way takes at most."""
_TWICE: Final = 2
"""Long ways in a row that count: one may have been an accident."""
_SHORTEST: Final = 0.25
_LONGEST: Final = 2.0
"""Seconds between two starts at the start."""
_SHARE: Final = 10
"""A start at the start is worth one part in so many of a worker's time."""


class Floors:
    """What one worker knows of its queues."""

    def __init__(self) -> None:
        self._floors: dict[str, Any] = {}
        self._long = 0
        self._return_at = 0.0

    def begin(self, now: float) -> str | None:
        """The floors to begin at, as JSON; None: at the start."""
        if self._long < _TWICE or now >= self._return_at or not self._floors:
            return None
        return to_json(self._floors)

    def end(self, now: float, walked: int, claims: int, reached: Mapping[str, Any], *, from_start: bool) -> None:
        """Learn from a claim that spent so many microseconds on its way, and where it ended."""
        self._floors |= reached
        if from_start:
            self._long = self._long + 1 if walked > _LONG + _LONG_EACH * claims else 0
            self._return_at = now + min(_LONGEST, max(_SHORTEST, _SHARE * walked / SECOND))
