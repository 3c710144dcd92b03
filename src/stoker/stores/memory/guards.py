"""What makes one job of many requests: debounce and throttle."""

from __future__ import annotations

from stoker.job import Guard, NewJob, State
from stoker.stores.memory.shelf import Shelf
from stoker.stores.record import Record


class Guards:
    """The job that was made last under each name, and until when it stands for others."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._stands: dict[str, tuple[str, int]] = {}

    def in_place_of(self, job: NewJob, now: int) -> str | None:
        """The job that stands in the place of this one, which with debounce takes its payload; None: nothing does."""
        if job.guard is None or job.guard.name not in self._stands:
            return None
        id, until = self._stands[job.guard.name]
        record = self._shelf.by_id.get(id)
        if not job.guard.last:
            return id if until > now and record is not None else None
        if record is None or not _has_yet_to_begin(record):
            return None
        record.payload = job.payload
        record.run_at = now + job.guard.span
        self._shelf.move(record, State.SCHEDULED if job.guard.span else State.QUEUED, now)
        self.put(job.guard, record, now)
        return record.id

    def put(self, guard: Guard, record: Record, now: int) -> None:
        """A job was made under that name."""
        self._stands[guard.name] = (record.id, now + guard.span)

    def forget(self, now: int) -> None:
        """Forget what stands for nothing any more."""
        over = [(name, id) for name, (id, until) in self._stands.items() if until <= now]
        for name, id in over:
            record = self._shelf.by_id.get(id)
            if record is None or not _has_yet_to_begin(record):
                del self._stands[name]


def _has_yet_to_begin(record: Record) -> bool:
    return record.state in (State.SCHEDULED, State.QUEUED) and not record.attempt
