"""Cron expressions in words, where they can be said simply; the words mean the same to a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.timing.cron import ALIASES

_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
_MOST: Final = 4
"""Things that are named one by one."""


def spoken(expression: str) -> str | None:
    """The expression in words; None where it is in words already, or has none that are simple."""
    fields = ALIASES.get(expression.strip().lower(), expression).split()
    if len(fields) == 6:
        if fields[0].startswith("*/") and fields[1:] == ["*"] * 5:
            return _each(fields[0], 60, "second")
        if fields[0] not in ("0", "00"):
            return None
        del fields[0]
    if len(fields) != 5:
        return None
    minute, hour, *date = fields
    if date == ["*", "*", "*"] and hour == "*":
        return _within_hours(minute)
    days = _days(*date)
    times = _times(hour, minute)
    if days is None:
        return None
    return _within_days(minute, hour, date) if times is None else f"{days} at {_listed(times)}"


def _within_hours(minute: str) -> str | None:
    if minute == "*":
        return "every minute"
    if minute.startswith("*/"):
        return _each(minute, 60, "minute")
    past = _numbers(minute)
    return f"every hour at :{past[0]:02}" if past and len(past) == 1 else None


def _within_days(minute: str, hour: str, date: Sequence[str]) -> str | None:
    """Every so many minutes of some hours."""
    first, _, last = hour.partition("-")
    often = _within_hours(minute)
    if often is None or ":" in often or not (first.isdecimal() and last.isdecimal()):
        return None
    when = f"{often} from {int(first):02}:00 to {int(last):02}:59"
    if date == ["*", "*", "*"]:
        return when
    return f"{when}, Monday to Friday" if date[:2] == ["*", "*"] and date[2].lower() in ("1-5", "mon-fri") else None


def _each(field: str, whole: int, unit: str) -> str | None:
    """`*/5` as every 5 of them; what does not divide the whole has a shorter step at its end."""
    step = field[2:]
    if not step.isdecimal() or not 0 < int(step) < whole or whole % int(step):
        return None
    return f"every {unit}" if int(step) == 1 else f"every {int(step)} {unit}s"


def _times(hour: str, minute: str) -> Sequence[str] | None:
    hours, minutes = _numbers(hour), _numbers(minute)
    if not hours or not minutes or len(minutes) != 1 or len(hours) > _MOST:
        return None
    return [f"{one:02}:{minutes[0]:02}" for one in hours]


def _days(day: str, month: str, weekday: str) -> str | None:
    if (day, month) == ("*", "*"):
        return _weekdays(weekday.lower())
    if weekday != "*":
        return None
    if month == "*":
        numbers = _numbers(day)
        if day.upper() != "L" and (not numbers or len(numbers) > _MOST):
            return None
        named = "last day" if not numbers else _listed([_ordinal(number) for number in numbers])
        return f"on the {named} of every month"
    days, months = _numbers(day), _numbers(month)
    if days and months and len(days) == len(months) == 1 and 1 <= months[0] <= 12:
        return f"every year on {days[0]} {_MONTHS[months[0] - 1]}"
    return None


def _weekdays(field: str) -> str | None:
    if field == "*":
        return "every day"
    if field in ("1-5", "mon-fri"):
        return "every weekday"
    for number, name in enumerate(_DAYS):
        field = field.replace(name[:3].lower(), str(number))
    numbers = _numbers(field)
    if not numbers or len(numbers) > _MOST or max(numbers) > 7:
        return None
    return f"every {_listed([_DAYS[number] for number in numbers])}"


def _numbers(field: str) -> list[int] | None:
    parts = field.split(",")
    return [int(part) for part in parts] if all(part.isascii() and part.isdecimal() for part in parts) else None


def _ordinal(number: int) -> str:
    return f"{number}{_ENDINGS.get(number, 'th')}"


def _listed(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
