"""Schedules in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.plan import Statement, Steps, reading, waking, writing
from stoker.schedule import Put, Schedule
from stoker.schedule_store import Schedules
from stoker.stores.postgres.rows import is_related
from stoker.stores.record import to_json


class PostgresSchedules:
    """See `ScheduleStore`."""

    def __init__(self, ask: Callable[..., Statement]) -> None:
        self._ask = ask
        """makes a statement that is a transaction by itself, of its name and parameters"""

    @waking
    def put(self, puts: Sequence[Put]) -> Steps[list[bool]]:
        """See `ScheduleStore.put`."""
        if not puts:
            return []
        told = [
            (p.schedule.name, p.schedule.document, p.schedule.next_at, p.schedule.version, p.jobs, is_related(p.jobs))
            for p in puts
        ]
        reply = yield self._ask("put_schedules", puts=to_json(told))
        return list(reply.rows[0][0])

    @writing
    def drop(self, name: str) -> Steps[bool]:
        """See `ScheduleStore.drop`."""
        reply = yield self._ask("drop_schedule", name=name)
        return bool(reply.rows)

    @reading
    def read(self, names: Sequence[str] | None = None) -> Steps[Schedules]:
        """See `ScheduleStore.read`."""
        reply = yield self._ask("read_schedules", names=None if names is None else list(names))
        return _schedules(*reply.rows[0])

    @reading
    def due(self, limit: int = 1000) -> Steps[Schedules]:
        """See `ScheduleStore.due`."""
        reply = yield self._ask("due_schedules", limit=limit)
        return _schedules(*reply.rows[0])


def _schedules(now: int, due_in: int | None, rows: list[list[object]] | None) -> Schedules:
    return Schedules(now, [Schedule(*row) for row in rows or ()], due_in)  # type: ignore[arg-type]
