"""Turns in fair queues: so that one owner's million jobs do not stand before another's single one."""

from __future__ import annotations

import heapq
from collections import defaultdict

from stoker.job import State
from stoker.store import Fair
from stoker.stores.record import Record

_Entry = tuple[int, int, Record]


class Turns:
    """The turns of the jobs that are queued in fair queues. An entry that does not fit its record any more is stale."""

    def __init__(self) -> None:
        self._fair: dict[str, Fair] = {}
        self._turns: dict[int, int] = {}
        self._first: dict[str, list[_Entry]] = defaultdict(list)
        self._last: dict[tuple[str, str | None], list[_Entry]] = defaultdict(list)

    def set(self, queue: str, fair: Fair | None) -> None:
        """Have turns taken in the queue, or not. Its queued jobs must be queued anew."""
        self._first.pop(queue, None)
        for pair in [pair for pair in self._last if pair[0] == queue]:
            del self._last[pair]
        self._fair.pop(queue, None)
        if fair is not None:
            self._fair[queue] = fair

    def of(self, record: Record) -> int:
        """The job's turn."""
        return self._turns.get(record.ref, 0)

    def give(self, record: Record) -> None:
        """A job is being queued."""
        self._turns.pop(record.ref, None)
        fair = self._fair.get(record.queue)
        if fair is None:
            return
        last = self._last[record.queue, record.owner if fair is Fair.OWNER else record.share]
        first = self._first[record.queue]
        turn = max(-self._top(last, -1, 1) + 1, self._top(first, 1, 0))
        self._turns[record.ref] = turn
        heapq.heappush(last, (-turn, record.ref, record))
        heapq.heappush(first, (turn, record.ref, record))

    def take(self, record: Record) -> None:
        """The job is not queued any more."""
        self._turns.pop(record.ref, None)

    def _top(self, heap: list[_Entry], sign: int, default: int) -> int:
        """The least entry that is not stale."""
        while heap:
            turn, ref, record = heap[0]
            if record.state is State.QUEUED and self._turns.get(ref) == turn * sign:
                return turn
            heapq.heappop(heap)
        return default
