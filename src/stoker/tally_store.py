"""What a store promises about tallies: how much was done when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from stoker.clock import SECOND
from stoker.plan import Plan

MINUTE: Final = 60 * SECOND
TALLIES_KEPT: Final = 2 * 24 * 60 * MINUTE
"""Span after which a tally may be forgotten."""


class Tally(Struct, frozen=True, kw_only=True):
    """How the attempts of one queue ended within a while, as the workers saw it.

    Jobs that ended without a worker are not in it: cancelled before they began, or failed for their crashes.
    """

    queue: str
    completed: int = 0
    failed: int = 0
    """jobs that failed for good"""
    retried: int = 0
    """attempts that failed and are followed by another"""
    cancelled: int = 0
    at: int = 0
    """instant at which the while began; set by the store"""


class TallyStore(Protocol):
    """Statistics, not facts: a worker that is killed takes what it had not told, a repeated call counts twice."""

    def add(self, tallies: Sequence[Tally]) -> Plan[None]:
        """Add these to the present minute of the store's clock."""
        ...

    def read(self, span: int, step: int = MINUTE) -> Plan[list[Tally]]:
        """What was done since a span ago (up to `TALLIES_KEPT`), added up in steps of so many whole minutes (span).

        By step, then by queue. A step begins at a multiple of its length since the epoch; the first one may have begun
        before the span did, and is whole. Steps of a queue without anything are left out.
        """
        ...
