"""Cron expressions: what their fields mean, and the next instant that one of them means in a time zone.

`cronsim` reads the fields and walks the calendar. What the setting of clocks makes of it is decided here, by one rule
for 5 and 6 fields and for shifts of any length:

- A fixed hour happens once a day. A local time that does not exist is the first instant after the gap; of one that
  comes twice it is the first.
- A wildcard hour (`*`, `*/2`, or all of them) follows real time: as often as the clocks show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from cronsim import CronSim, CronSimError

from stoker.clock import to_datetime, to_instant
from stoker.timing.zone import next_change, offset

ALIASES: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_FIELDS: Final = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L for the last, LW for the last weekday",
    "month": "1-12 or jan-dec",
    "day-of-week": "0-7 or sun-sat, fri#2 for the second in a month, 5L for the last",
}
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - wall clocks show no zone
_TRIAL: Final = datetime(2024, 1, 1)  # noqa: DTZ001


class NotUnderstood(ValueError):
    """A text cannot be read; the message is the end of a sentence that began with what it was taken for."""


class Cron:
    """A cron expression of 5 fields, of 6 with the seconds first, or `@daily` and the like.

    Raises `NotUnderstood`, also for a date that never comes.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        fields = _fields(text)
        try:
            self._sim = CronSim(" ".join(fields), _TRIAL)
        except CronSimError as error:
            raise NotUnderstood(_complaint(str(error), fields)) from None
        except (AssertionError, ValueError, TypeError, IndexError) as error:
            raise NotUnderstood(f"{text!r} mixes what cannot be mixed") from error
        self.fixed = not fields[2].startswith("*") and len(self._sim.hours) < 24
        if next(self._walls(_TRIAL), None) is None:
            raise NotUnderstood(f"{text!r} names a date that never comes")

    def after(self, instant: int, where: tzinfo) -> int | None:
        """The first tick later than that instant; None: not within the next 50 years."""
        try:
            return self._fixed_after(instant, where) if self.fixed else self._real_after(instant, where)
        except OverflowError:  # the calendar ends
            return None

    def _walls(self, wall: datetime) -> Iterator[datetime]:
        """The times after this one, as a clock without a zone shows them."""
        sim = copy(self._sim)
        sim.dt = wall.replace(microsecond=0)
        return sim

    def _fixed_after(self, instant: int, where: tzinfo) -> int | None:
        wall = to_datetime(instant).astimezone(where).replace(tzinfo=None, fold=0)
        for shown in self._walls(wall):
            tick = _first_instant(shown, where)
            if tick > instant:
                return tick
        return None

    def _real_after(self, instant: int, where: tzinfo) -> int | None:
        since, low, ahead = instant, instant, offset(where, instant)
        while True:
            shown = next(self._walls(_EPOCH + timedelta(microseconds=low + ahead)), None)
            if shown is None:
                return None
            tick = to_instant(shown.replace(tzinfo=UTC)) - ahead
            change = next_change(where, since, tick)
            if change is None:
                return tick
            since, low, ahead = change, change - 1, offset(where, change)


def _first_instant(shown: datetime, where: tzinfo) -> int:
    """When a clock there shows this time first; where it never does, when it has leapt over it."""
    instant = to_instant(shown.replace(tzinfo=where))
    if where is UTC or to_datetime(instant).astimezone(where).replace(tzinfo=None, fold=0) == shown:
        return instant
    later = to_instant(shown.replace(tzinfo=where, fold=1))
    change = next_change(where, min(instant, later) - 1, max(instant, later))
    assert change is not None, "a clock that leapt over a time was set"
    return change


def _fields(text: str) -> list[str]:
    fields = text.split()
    if len(fields) == 1 and fields[0].startswith("@"):
        alias = ALIASES.get(fields[0].lower())
        if alias is None:
            raise NotUnderstood(f"there is no {fields[0]}; there are {', '.join(ALIASES)}")
        fields = alias.split()
    if len(fields) not in (5, 6):
        raise NotUnderstood(
            f"it has {len(fields)} field{'' if len(fields) == 1 else 's'}, not 5 (minute, hour, day of month, month, "
            "day of week) or 6 (with the second first)"
        )
    return fields if len(fields) == 6 else ["0", *fields]


def _complaint(error: str, fields: list[str]) -> str:
    name = error.removeprefix("Bad ")
    names = list(_FIELDS)
    if name not in names:
        return error
    field = fields[names.index(name)]
    if name == "day-of-month" and _alone(field):
        return f"the {name} {field!r} never comes in the month {fields[4]!r}"
    return f"{field!r} is no {name} ({_FIELDS[name]})"


def _alone(field: str) -> bool:
    """Whether the days are right by themselves, so that it is their month that has none of them."""
    try:
        CronSim(f"0 0 0 {field} * *", _TRIAL)
    except CronSimError:
        return False
    return True
