"""Schedules in this process's memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from stoker.clock import Clock
from stoker.job import Inserted, NewJob
from stoker.schedule import Put, Schedule
from stoker.schedule_store import Schedules
from stoker.stores.memory.immediate import immediate, immediate_waking


class MemorySchedules:
    """See `ScheduleStore`."""

    def __init__(self, clock: Clock, insert: Callable[[NewJob, int], Inserted]) -> None:
        self._now = clock
        self._insert = insert
        self._known: dict[str, Schedule] = {}

    @immediate_waking
    def put(self, puts: Sequence[Put]) -> list[bool]:
        """See `ScheduleStore.put`."""
        now = self._now()
        return [self._put(put, now) for put in puts]

    def _put(self, put: Put, now: int) -> bool:
        schedule = put.schedule
        known = self._known.get(schedule.name)
        if schedule.version != (known.version if known is not None else 0):
            return False
        self._known[schedule.name] = replace(schedule, version=schedule.version + 1)
        for job in put.jobs:
            self._insert(job, now)
        return True

    @immediate
    def drop(self, name: str) -> bool:
        """See `ScheduleStore.drop`."""
        return self._known.pop(name, None) is not None

    @immediate
    def read(self, names: Sequence[str] | None = None) -> Schedules:
        """See `ScheduleStore.read`."""
        found = sorted(name for name in self._known if names is None or name in names)
        return self._as_they_are([self._known[name] for name in found])

    @immediate
    def due(self, limit: int = 1000) -> Schedules:
        """See `ScheduleStore.due`."""
        now = self._now()
        due = [(s.next_at, s.name) for s in self._known.values() if s.next_at is not None and s.next_at <= now]
        return self._as_they_are([self._known[name] for _, name in sorted(due)[:limit]])

    def _as_they_are(self, schedules: Sequence[Schedule]) -> Schedules:
        now = self._now()
        instants = [schedule.next_at for schedule in self._known.values() if schedule.next_at is not None]
        return Schedules(now, schedules, max(0, min(instants) - now) if instants else None)
