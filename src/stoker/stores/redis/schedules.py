"""Schedules on a Redis server."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct as Layout
from typing import Any, Final

from stoker.plan import Steps, reading, waking, writing
from stoker.schedule import Put, Schedule
from stoker.schedule_store import Schedules
from stoker.stores.redis.asking import Ask
from stoker.stores.redis.rows import facts, new_row

_VERSION: Final = Layout(">q")
"""How a schedule begins, as `put_schedules.lua` packs it; the next tick as text, a NUL and the document follow."""


class RedisSchedules:
    """See `ScheduleStore`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @waking
    def put(self, puts: Sequence[Put]) -> Steps[list[bool]]:
        """See `ScheduleStore.put`."""
        if not puts:
            return []
        rows = [
            (put.schedule.name, put.schedule.version, put.schedule.next_at, [new_row(job) for job in put.jobs])
            for put in puts
        ]
        attached = [put.schedule.document.encode() for put in puts]
        attached += [facts(job) for put in puts for job in put.jobs]
        reply = yield self._ask("put_schedules", {"puts": rows}, attached, alone=True)
        return [bool(written) for written in reply.rows[0][0]]

    @writing
    def drop(self, name: str) -> Steps[bool]:
        """See `ScheduleStore.drop`."""
        reply = yield self._ask("drop_schedule", {"name": name}, alone=True)
        return bool(reply.rows[0][0])

    @reading
    def read(self, names: Sequence[str] | None = None) -> Steps[Schedules]:
        """See `ScheduleStore.read`."""
        found = yield from self._read({} if names is None else {"names": sorted(set(names))})
        return Schedules(found.now, sorted(found.schedules, key=lambda schedule: schedule.name), found.due_in)

    @reading
    def due(self, limit: int = 1000) -> Steps[Schedules]:
        """See `ScheduleStore.due`."""
        return (yield from self._read({"limit": limit}))

    def _read(self, asked: dict[str, Any]) -> Steps[Schedules]:
        reply = yield self._ask("read_schedules", asked, alone=True)
        now, first, flat = reply.rows[0][0]
        schedules = [_schedule_of(name, kept) for name, kept in zip(flat[::2], flat[1::2], strict=True)]
        return Schedules(int(now), schedules, None if first is None else max(0, int(first) - int(now)))


def _schedule_of(name: bytes, kept: bytes) -> Schedule:
    (version,) = _VERSION.unpack_from(kept)
    next_at, _, document = kept[_VERSION.size :].partition(b"\0")
    return Schedule(name.decode(), document.decode(), int(next_at) if next_at else None, version)
