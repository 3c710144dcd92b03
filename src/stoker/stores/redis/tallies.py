"""Tallies on a Redis server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from struct import Struct as Layout
from typing import Final

from stoker.plan import Steps, reading, writing
from stoker.stores.redis.asking import Ask
from stoker.tally_store import MINUTE, Tally

_MINUTE: Final = Layout(">Q")
_NUMBERS: Final = Layout(">IIII")
"""How an entry begins and ends, as `add_tallies.lua` packs it; between them stand the queue and a NUL."""
_LOOK: Final = 2000
"""Entries that one script reads."""


class RedisTallies:
    """See `TallyStore`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @writing
    def add(self, tallies: Sequence[Tally]) -> Steps[None]:
        """See `TallyStore.add`."""
        rows = [(t.queue, t.completed, t.failed, t.retried, t.cancelled) for t in tallies]
        rows = [row for row in rows if any(row[1:])]
        if rows:
            yield self._ask("add_tallies", {"tallies": rows}, alone=True)

    @reading
    def read(self, span: int, step: int = MINUTE) -> Steps[list[Tally]]:
        """See `TallyStore.read`."""
        sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        asked = {"span": span, "step": step, "look": _LOOK}
        last: list[bytes] = []
        while True:
            entries = (yield self._ask("read_tallies", asked, last)).rows[0][0]
            for at, queue, numbers in map(_entry, entries):
                place = (at // step * step, queue)
                sums[place] = [sum(both) for both in zip(sums[place], numbers, strict=True)]
            if len(entries) < _LOOK:
                break
            last = entries[-1:]
        return [
            Tally(queue=queue, completed=done, failed=failed, retried=retried, cancelled=cancelled, at=at)
            for (at, queue), (done, failed, retried, cancelled) in sorted(sums.items())
        ]


def _entry(kept: bytes) -> tuple[int, str, tuple[int, ...]]:
    (at,) = _MINUTE.unpack_from(kept)
    queue = kept[_MINUTE.size : -_NUMBERS.size - 1].decode()
    return at, queue, _NUMBERS.unpack(kept[-_NUMBERS.size :])
