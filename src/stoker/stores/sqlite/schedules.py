"""Schedules in a SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stoker.clock import Clock
from stoker.job import Inserted, NewJob
from stoker.plan import Reply, Steps, reading, waking, writing
from stoker.schedule import Put, Schedule
from stoker.schedule_store import Schedules
from stoker.stores.record import to_json
from stoker.stores.sqlite.texts import Texts


class SqliteSchedules:
    """See `ScheduleStore`."""

    def __init__(
        self, clock: Clock, texts: Texts, insert: Callable[[Sequence[NewJob], int], Steps[list[Inserted]]]
    ) -> None:
        self._now = clock
        self._ask = texts.ask
        self._insert = insert

    @waking
    def put(self, puts: Sequence[Put]) -> Steps[list[bool]]:
        """See `ScheduleStore.put`."""
        answers: list[bool] = []
        jobs: list[NewJob] = []
        for put in puts:
            facts: dict[str, Any] = {
                "name": put.schedule.name,
                "document": put.schedule.document,
                "next_at": put.schedule.next_at,
            }
            if put.schedule.version == 0:
                reply = yield self._ask("make_schedule", **facts)
            else:
                reply = yield self._ask("write_schedule", **facts, version=put.schedule.version)
            answers.append(reply.changed == 1)
            if answers[-1]:
                jobs += put.jobs
        if jobs:
            yield from self._insert(jobs, self._now())
        return answers

    @writing
    def drop(self, name: str) -> Steps[bool]:
        """See `ScheduleStore.drop`."""
        reply = yield self._ask("drop_schedule", name=name)
        return reply.changed == 1

    @reading
    def read(self, names: Sequence[str] | None = None) -> Steps[Schedules]:
        """See `ScheduleStore.read`."""
        if names is None:
            reply = yield self._ask("schedules")
        else:
            reply = yield self._ask("named_schedules", names=to_json(names))
        return (yield from self._as_they_are(reply, self._now()))

    @reading
    def due(self, limit: int = 1000) -> Steps[Schedules]:
        """See `ScheduleStore.due`."""
        now = self._now()
        reply = yield self._ask("due_schedules", now=now, limit=limit)
        return (yield from self._as_they_are(reply, now))

    def _as_they_are(self, found: Reply, now: int) -> Steps[Schedules]:
        reply = yield self._ask("next_tick")
        next_at = reply.rows[0][0]
        due_in = None if next_at is None else max(0, next_at - now)
        return Schedules(now, [Schedule(*row) for row in found.rows], due_in)
