"""The records of the memory store, and the indexes that go with them: every change of state goes through here."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from stoker.job import FINAL, LIVE, State
from stoker.store import Fair, Filter
from stoker.stores.memory.turns import Turns
from stoker.stores.record import Record, list_of

_Place = tuple[int, int, int, int]
_Line = list[tuple[_Place, Record]]


class Shelf:
    """Records by id and by number, keys of the unfinished, claims by worker, and heaps of what is queued and due.

    An entry of a heap that does not fit its record any more is stale, and skipped when it is met.
    """

    def __init__(self) -> None:
        self._serial = 0
        self.by_id: dict[str, Record] = {}
        self.by_ref: dict[int, Record] = {}
        self.keys: dict[str, Record] = {}
        self.held: dict[str, dict[int, Record]] = defaultdict(dict)
        self.queued: Counter[str] = Counter()
        """by queue"""
        self.queued_by_limit: Counter[str | None] = Counter()
        self.processing: Counter[str | None] = Counter()
        """by limit key"""
        self.processing_in: Counter[str] = Counter()
        """by queue"""
        self.turns = Turns()
        self._ready: dict[str, dict[str | None, _Line]] = defaultdict(dict)
        """by queue and limit key"""
        self._due: list[tuple[int, int, Record]] = []

    def next_ref(self) -> int:
        """The next number, never used before."""
        self._serial += 1
        return self._serial

    def add(self, record: Record) -> None:
        """Put a new record on the shelf."""
        self.by_id[record.id] = record
        self.by_ref[record.ref] = record
        self._enter(record)

    def move(self, record: Record, state: State, now: int) -> None:
        """Change a record's state and every index that depends on it."""
        self._leave(record)
        record.state = state
        record.updated_at = now
        if state in FINAL:
            record.finished_at = now
            record.cancelling = None
        self._enter(record)

    def _leave(self, record: Record) -> None:
        if record.state is State.QUEUED:
            self.queued[record.queue] -= 1
            self.queued_by_limit[record.limit_key] -= 1
            self.turns.take(record)
        elif record.state is State.PROCESSING:
            self.held[record.worker or ""].pop(record.ref, None)
            self.processing[record.limit_key] -= 1
            self.processing_in[record.queue] -= 1
        if record.state in LIVE and record.key is not None:
            self.keys.pop(record.key, None)

    def _enter(self, record: Record) -> None:
        if record.state is State.QUEUED:
            self.queued[record.queue] += 1
            self.queued_by_limit[record.limit_key] += 1
            self.turns.give(record)
            self.replace(record)
        elif record.state is State.SCHEDULED:
            heapq.heappush(self._due, (record.run_at, record.ref, record))
        elif record.state is State.PROCESSING:
            self.held[record.worker or ""][record.ref] = record
            self.processing[record.limit_key] += 1
            self.processing_in[record.queue] += 1
        if record.state in LIVE and record.key is not None:
            self.keys[record.key] = record

    def delete(self, record: Record) -> None:
        """Take a record off the shelf."""
        self._leave(record)
        record.state = State.CANCELLED  # so that its entries in the heaps are stale
        del self.by_id[record.id], self.by_ref[record.ref]

    def promote(self, now: int) -> None:
        """Queue the scheduled jobs that are due."""
        while self._due and self._due[0][0] <= now:
            run_at, _, record = heapq.heappop(self._due)
            if record.state is State.SCHEDULED and record.run_at == run_at:
                self.move(record, State.QUEUED, now)

    def due_in(self, now: int) -> int | None:
        """The span until the next scheduled job is due; None: there is none."""
        while self._due:
            run_at, _, record = self._due[0]
            if record.state is State.SCHEDULED and record.run_at == run_at:
                return max(0, run_at - now)
            heapq.heappop(self._due)
        return None

    def matching(self, which: Filter, now: int) -> Iterator[Record]:
        """Records that match, in order of insertion."""
        pool: Iterable[Record] = self.by_id.values()
        if which.ids is not None:
            known = (self.by_id.get(id) for id in dict.fromkeys(which.ids))
            pool = sorted((record for record in known if record), key=lambda record: record.ref)
        return (record for record in pool if _matches(which, record, now))

    def in_line(self, queue: str, limit: int) -> list[Record]:
        """The first queued records of a queue, whatever holds them back."""
        queued = (r for r in self.by_id.values() if r.state is State.QUEUED and r.queue == queue)
        return heapq.nsmallest(limit, queued, key=self._place)

    def first(
        self, queue: str, room: int, wanted: Callable[[Record], bool], room_for: Callable[[str | None], int]
    ) -> Iterator[Record]:
        """The first queued records of a queue that are wanted, one by one: who takes one moves it before the next.

        `room_for`: how many of a limit key may be taken.
        """
        lines = self._ready[queue]
        left = {key: room_for(key) for key in list(lines)}
        heads = [(head[0], head[1].ref, key) for key in list(lines) if left[key] and (head := self._head(lines, key))]
        heapq.heapify(heads)
        passed_over: list[tuple[str | None, tuple[_Place, Record]]] = []
        while heads and room > 0:
            _, _, key = heads[0]
            entry = heapq.heappop(lines[key])
            if wanted(entry[1]):
                room -= 1
                left[key] -= 1
                yield entry[1]
            else:
                passed_over.append((key, entry))
            head = self._head(lines, key) if left[key] else None
            if head is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (head[0], head[1].ref, key))
        for key, entry in passed_over:
            heapq.heappush(lines.setdefault(key, []), entry)

    def _head(self, lines: dict[str | None, _Line], key: str | None) -> tuple[_Place, Record] | None:
        """The first of a line that is not stale. A line that is empty is taken away."""
        line = lines.get(key, [])
        while line:
            place, record = line[0]
            if record.state is State.QUEUED and self._place(record) == place:
                return line[0]
            heapq.heappop(line)
        lines.pop(key, None)
        return None

    def replace(self, record: Record) -> None:
        """Queue a record whose place changed; its old entry is stale."""
        line = self._ready[record.queue].setdefault(record.limit_key, [])
        heapq.heappush(line, (self._place(record), record))

    def _place(self, record: Record) -> _Place:
        """A record's place in its queue."""
        return (-record.priority, self.turns.of(record), record.run_at, record.ref)

    def take_turns(self, queue: str, fair: Fair | None) -> None:
        """Have the queued jobs of a queue take turns between whom this says, or between nobody."""
        queued = [r for r in self.by_id.values() if r.state is State.QUEUED and r.queue == queue]
        queued.sort(key=lambda record: (-record.priority, record.run_at, record.ref))
        self.turns.set(queue, fair)
        for record in queued:
            self.turns.take(record)
        for record in queued:
            self.turns.give(record)
            self.replace(record)


def _matches(which: Filter, record: Record, now: int) -> bool:
    return (
        (which.states is None or record.state in which.states)
        and which.queue in (None, record.queue)
        and which.task in (None, record.task)
        and (which.tag is None or which.tag in list_of(record.tags))
        and which.owner in (None, record.owner)
        and which.workflow in (None, record.workflow)
        and which.key in (None, record.key)
        and (which.text is None or _fold(which.text) in _fold(record.payload))
        and (which.idle_for is None or record.updated_at <= now - which.idle_for)
    )


def _fold(text: str) -> str:
    """Letter case ignored, in ASCII only: the most that every database does alike."""
    return "".join(c.lower() if c.isascii() else c for c in text)
