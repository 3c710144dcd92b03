"""What a store promises about schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from stoker.plan import Plan
from stoker.schedule import Put, Schedule


class Schedules(Struct, frozen=True):
    """Schedules as they were when they were read."""

    now: int
    """the store's present, an instant"""
    schedules: Sequence[Schedule]
    due_in: int | None = None
    """span until the next tick of any schedule, 0 if it is past; None: there is none"""


class ScheduleStore(Protocol):
    """Where schedules live. Who reads them decides when they fire; the store sees to it that each tick counts once."""

    def put(self, puts: Sequence[Put]) -> Plan[list[bool]]:
        """Write schedules, each if it still has the version that was read, and insert the jobs that go with it, as
        `Store.insert` does. False: somebody else wrote it meanwhile, and neither it nor its jobs were written.

        `version` 0 is a schedule that is not there. A schedule that was written has the version after.
        """
        ...

    def drop(self, name: str) -> Plan[bool]:
        """Forget a schedule; whether it was there. Jobs that it made stay."""
        ...

    def read(self, names: Sequence[str] | None = None) -> Plan[Schedules]:
        """These schedules (None: all), by name."""
        ...

    def due(self, limit: int = 1000) -> Plan[Schedules]:
        """Those whose `next_at` has come, up to `limit`, longest due first, then by name. Changes nothing."""
        ...
