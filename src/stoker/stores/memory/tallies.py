"""Tallies in this process's memory."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from stoker.clock import Clock
from stoker.stores.memory.immediate import immediate
from stoker.tally_store import MINUTE, TALLIES_KEPT, Tally


class MemoryTallies:
    """See `TallyStore`."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock
        self._minutes: dict[tuple[int, str], Tally] = {}
        """by the minute's beginning and queue"""

    @immediate
    def add(self, tallies: Sequence[Tally]) -> None:
        """See `TallyStore.add`."""
        _add(self._minutes, tallies, self._now() // MINUTE * MINUTE)

    @immediate
    def read(self, span: int, step: int = MINUTE) -> list[Tally]:
        """See `TallyStore.read`."""
        first = (self._now() - span) // step * step
        steps: dict[tuple[int, str], Tally] = {}
        for (at, _), tally in self._minutes.items():
            if at >= first and (tally.completed or tally.failed or tally.retried or tally.cancelled):
                _add(steps, [tally], at // step * step)
        return [steps[place] for place in sorted(steps)]

    def forget(self, now: int) -> None:
        """Forget what is too old."""
        for place in [place for place in self._minutes if place[0] <= now - TALLIES_KEPT]:
            del self._minutes[place]


def _add(sums: dict[tuple[int, str], Tally], tallies: Sequence[Tally], at: int) -> None:
    for tally in tallies:
        before = sums.get((at, tally.queue), Tally(queue=tally.queue, at=at))
        sums[at, tally.queue] = replace(
            before,
            completed=before.completed + tally.completed,
            failed=before.failed + tally.failed,
            retried=before.retried + tally.retried,
            cancelled=before.cancelled + tally.cancelled,
        )
