"""Plain English for recurring times: `every weekday at 9:30` becomes cron, `every 15 seconds` a span.

A text is read word by word. A word that means nothing here is an error that names it; nothing is guessed or skipped.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from stoker.clock import SECOND, to_span
from stoker.timing.cron import NotUnderstood

SHORTEST: Final = SECOND // 10
LONGEST: Final = 100 * 366 * 86_400 * SECOND

_WORD = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?|\d+(?:\.\d+)?|:\d{2}\b|[a-z]+(?:\.[a-z]\.?)?|\S")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")

_UNITS: Final = {
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3600 * SECOND,
    "day": 86_400 * SECOND,
    "week": 7 * 86_400 * SECOND,
    "month": 0,
    "year": 0,
}
_SHORT_UNITS: Final = {
    "sec": "second",
    "s": "second",
    "min": "minute",
    "m": "minute",
    "hr": "hour",
    "h": "hour",
    "night": "day",
}
_ADVERBS: Final = {
    "hourly": "hour",
    "daily": "day",
    "nightly": "day",
    "weekly": "week",
    "monthly": "month",
    "yearly": "year",
    "annually": "year",
    "month": "month",
    "year": "year",
}
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_NUMBERS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "twelve": 12}
_TIMES: Final = {"once": 1, "twice": 2, "thrice": 3}
_FILLERS: Final = frozenset({"run", "runs", "on", "the", "of", "and", ",", "&", "in", "each", "every", "a", "an"})


def _named(names: tuple[str, ...], word: str) -> int | None:
    """The place of a name that the word is, or begins as, in the singular or the plural."""
    stem = word.rstrip(".")
    for number, name in enumerate(names):
        if stem in (name, name + "s", name[:3]) or (len(stem) > 3 and name.startswith(stem)):
            return number
    return None


class English(Struct, frozen=True):
    """What was said: a span, or cron expressions of which each counts."""

    span: int | None = None
    crons: tuple[str, ...] = ()


def read(text: str) -> English:
    """What a text means. Raises `NotUnderstood`."""
    words = _WORD.findall(text.lower().strip().rstrip("."))
    if not words:
        raise NotUnderstood("there is nothing to read")
    reader = _Reader(words)
    reader.read()
    return reader.meaning()


class _Reader:
    """Goes over the words once, and keeps what they say."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0
        self._unit: str | None = None
        self._count: float = 1
        self._evenly: tuple[int, str] | None = None
        self._times: list[tuple[int, int, int]] = []
        self._minutes: list[int] = []
        self._weekdays: list[str] = []
        self._days: list[str] = []
        self._months: list[int] = []

    # --- words ------------------------------------------------------------------------------------------------------

    def _word(self, ahead: int = 0) -> str:
        """The word that comes; '' after the last one."""
        index = self._at + ahead
        return self._words[index] if index < len(self._words) else ""

    def _take(self, *words: str) -> bool:
        """Whether the next word is one of these; then it is read."""
        if self._word() in words:
            self._at += 1
            return True
        return False

    def _skip(self, *words: str) -> None:
        while self._take(*words):
            pass

    def read(self) -> None:
        """Read all the words."""
        while self._word():
            clauses = (self._evens, self._rate, self._ordinal, self._calendar, self._past, self._clock, self._adverb)
            if not any(clause() for clause in clauses) and not self._take(*_FILLERS):
                self._refuse()

    def _refuse(self) -> None:
        word = self._word()
        if re.fullmatch(r"\d+", word):
            raise NotUnderstood(f"it is not clear what the {word!r} counts: write 'at {word}:00' or 'every {word} …'")
        raise NotUnderstood(f"the word {word!r} means nothing here")

    # --- how often --------------------------------------------------------------------------------------------------

    def _unit_of(self, word: str) -> str | None:
        singular = word.removesuffix("s") if len(word) > 1 else word
        unit = _SHORT_UNITS.get(singular, singular)
        return unit if unit in _UNITS else None

    def _often(self, count: float, unit: str) -> bool:
        if self._unit is None:
            self._unit, self._count = unit, count
        elif (self._unit, self._count) != (unit, count) and (count != 1 or _UNITS[unit]):
            raise NotUnderstood("it says twice how often")  # but 'every day of the month' does not
        return True

    def _rate(self) -> bool:
        """`every 15 seconds`, `every hour`; and the `month` of `the 1st of the month`."""
        if self._word() == "the" and self._word(1) in {"month", "year"}:
            self._at += 1
            return self._adverb()
        if self._word() not in {"every", "each"}:
            return False
        if self._word(1) == "other":
            raise NotUnderstood("'every other' does not say which: write 'every 2 days', or name the days")
        count = _number(self._word(1))
        unit = self._unit_of(self._word(1 if count is None else 2))
        if unit is None or (unit == "second" and _named(_DAYS, self._word(2)) is not None):
            return False
        self._at += 2 if count is None else 3
        return self._often(1 if count is None else count, unit)

    def _adverb(self) -> bool:
        unit = _ADVERBS.get(self._word())
        if unit is None:
            return False
        self._at += 1
        return self._often(1, unit)

    def _evens(self) -> bool:
        """`twice a day`, `4 times per hour`."""
        count = _TIMES.get(self._word())
        length = 1
        if count is None and self._word(1) == "times":
            number = _number(self._word())
            count, length = (int(number) if number else None), 2
        if not count:
            return False
        self._at += length
        if not self._take("a", "an", "per", "each", "every"):
            raise NotUnderstood("it does not say a day or an hour of what")
        unit = self._unit_of(self._word())
        if count > 1 and (unit not in {"day", "hour"} or {"day": 24, "hour": 60}[unit] % count):
            raise NotUnderstood(f"{count} times a {self._word()} cannot be spread evenly: name the times")
        if unit is None:
            self._refuse()
            return False
        self._at += 1
        if count == 1:
            return self._often(1, unit)
        self._evenly = (count, unit)
        return True

    # --- at what time -----------------------------------------------------------------------------------------------

    def _clock(self) -> bool:
        """`at 10:00 am`, `7pm`, `noon`, `at 9 and 17`."""
        marked = self._take("at", "@")
        found = self._one_clock(bare=marked)
        if marked and not found:
            raise NotUnderstood(f"after 'at' there is no time but {self._word()!r}" if self._word() else "'at' ends it")
        while found and marked and self._word() in {"and", ",", "&"} and _CLOCK_LIKE.fullmatch(self._word(1)):
            self._at += 1
            self._one_clock(bare=True)
        return found

    def _one_clock(self, *, bare: bool) -> bool:
        word = self._word()
        if word in {"noon", "midday", "midnight"}:
            self._at += 1
            return self._time(0 if word == "midnight" else 12, 0, 0, word)
        if word == "minute" and self._word(1).isdecimal():
            self._at += 1
            return self._minute(self._word())
        if word.startswith(":") and len(word) == 3:
            return self._minute(word[1:])
        found = _CLOCK.fullmatch(word)
        half = self._word(1).replace(".", "")
        halved = half in {"am", "pm"}
        if found is None and not (word.isdecimal() and (halved or bare)):
            return False
        hour, minute, second = (int(part or 0) for part in found.groups()) if found else (int(word), 0, 0)
        self._at += 2 if halved else 1
        if halved:
            if not 1 <= hour <= 12:
                raise NotUnderstood(f"there is no {hour} {half}")
            hour = hour % 12 + (12 if half == "pm" else 0)
        self._skip("o", "'", "clock")
        return self._time(hour, minute, second, word)

    def _time(self, hour: int, minute: int, second: int, word: str) -> bool:
        if hour > 23 or minute > 59 or second > 59:
            raise NotUnderstood(f"{word!r} is no time of day")
        self._times.append((hour, minute, second))
        return True

    def _minute(self, word: str) -> bool:
        self._at += 1
        if int(word) > 59:
            raise NotUnderstood(f"{word!r} is no minute of an hour")
        self._minutes.append(int(word))
        return True

    def _past(self) -> bool:
        """`15 minutes past the hour`."""
        shift = 1 if self._word() == "at" else 0
        word, minutes = self._word(shift), self._word(shift + 1)
        if not (word.isdecimal() and minutes.startswith("minute") and self._word(shift + 2) in {"past", "after"}):
            return False
        self._at += shift
        self._minute(word)
        self._at += 2
        self._skip("the", "each", "every")
        if not self._take("hour"):
            raise NotUnderstood("minutes past what? Write 'past the hour'")
        return True

    # --- on which days ----------------------------------------------------------------------------------------------

    def _calendar(self) -> bool:
        """Names of days and months."""
        word = self._word()
        if word in {"weekday", "weekdays", "workday", "workdays", "weekend", "weekends"}:
            self._at += 1
            self._weekdays += ["6", "0"] if word.startswith("weekend") else ["1-5"]
            return True
        if word == "day" and self._word(1).isdecimal():
            self._at += 1
            return self._day()
        day = _named(_DAYS, word) if word.isalpha() else None
        if day is not None:
            self._at += 1
            return self._through(day)
        month = _named(_MONTHS, word) if word.isalpha() else None
        if month is not None:
            self._at += 1
            self._months.append(month + 1)
            if self._word().isdecimal() and self._word(1) not in {"am", "pm"}:
                self._day()
            return True
        return word.isdecimal() and self._word(1).isalpha() and self._of_month()

    def _of_month(self) -> bool:
        """`24 december`."""
        if self._word(1) in _SHORT_UNITS or _named(_MONTHS, self._word(1)) is None:
            return False
        return self._day()

    def _through(self, first: int) -> bool:
        """A day of the week, or all of them up to another."""
        if self._word() in {"to", "through", "thru", "till", "until", "-"}:
            last = _named(_DAYS, self._word(1))
            if last is None:
                raise NotUnderstood(f"from {_DAYS[first]} to which day? {self._word(1)!r} is none")
            self._at += 2
            self._weekdays += [str((first + step) % 7) for step in range((last - first) % 7 + 1)]
        else:
            self._weekdays.append(str(first))
        return True

    def _ordinal(self) -> bool:
        """`1st`, `the first monday`, `the last day`."""
        word = self._word()
        if word.isdecimal() and self._word(1) in {"st", "nd", "rd", "th"}:
            number, length = int(word), 2
        elif word == "last" or word in _ORDINALS:
            number, length = _ORDINALS.get(word, -1), 1
        else:
            return False
        follower = self._word(length)
        weekday = _named(_DAYS, follower) if follower.isalpha() else None
        if word == "second" and weekday is None and follower != "day":
            return False
        self._at += length
        if weekday is not None:
            self._at += 1
            if number > 5:
                raise NotUnderstood(f"no month has {number} of {_DAYS[weekday]}")
            self._weekdays.append(f"{weekday}L" if number < 0 else f"{weekday}#{number}")
            return True
        if number < 0 and self._word() in {"weekday", "workday"}:
            self._at += 1
            self._days.append("LW")
            return True
        if number < 0 and self._word() != "day":
            raise NotUnderstood("the last what? Write 'the last day of the month' or 'the last friday of the month'")
        self._take("day")
        self._days.append("L" if number < 0 else _day(number))
        return True

    def _day(self) -> bool:
        self._days.append(_day(int(self._word())))
        self._at += 1
        self._skip("st", "nd", "rd", "th")
        return True

    # --- what it comes to -------------------------------------------------------------------------------------------

    def meaning(self) -> English:
        """What all the words together say."""
        if self._days and self._weekdays:
            raise NotUnderstood("it names days of the week and days of the month; make two schedules of it")
        if self._evenly is not None:
            return self._spread(*self._evenly)
        if self._unit in {"second", "minute", "hour"}:
            return self._within_days()
        if self._minutes:
            return self._hourly(",".join(map(str, sorted(set(self._minutes)))))
        return self._on_days()

    def _date(self) -> str:
        """The cron fields of days, months and weekdays."""
        days = ",".join(dict.fromkeys(self._days)) or "*"
        months = ",".join(map(str, sorted(set(self._months)))) or "*"
        return f"{days} {months} {','.join(dict.fromkeys(self._weekdays)) or '*'}"

    @property
    def _dated(self) -> bool:
        return bool(self._days or self._months or self._weekdays)

    def _hourly(self, minutes: str) -> English:
        if self._times or self._unit not in {None, "hour"} or self._count != 1:
            raise NotUnderstood("it names minutes of every hour, and other times as well")
        return English(crons=(f"{minutes} * {self._date()}",))

    def _spread(self, count: int, unit: str) -> English:
        if self._times or self._minutes or self._unit is not None:
            raise NotUnderstood("it says how often as well as when")
        if unit == "hour":
            return English(crons=(f"*/{60 // count} * {self._date()}",))
        hours = ",".join(str(hour) for hour in range(0, 24, 24 // count))
        return English(crons=(f"0 {hours} {self._date()}",))

    def _within_days(self) -> English:
        assert self._unit is not None
        unit, count = self._unit, self._count
        if self._times:
            raise NotUnderstood(f"it says every {unit} and names a time of day as well")
        if self._minutes:
            if unit != "hour" or count != 1:
                raise NotUnderstood("minutes of an hour go with 'every hour' only")
            return self._hourly(",".join(map(str, sorted(set(self._minutes)))))
        if not self._dated and (count != 1 or unit == "second"):
            return self._span(count, unit)
        if count != int(count) or {"second": 60, "minute": 60, "hour": 24}[unit] % int(count):
            raise NotUnderstood(f"on some days only, the {unit}s must divide {'a day' if unit == 'hour' else 'evenly'}")
        step = "*" if count == 1 else f"*/{int(count)}"
        fields = {"second": f"{step} * *", "minute": f"{step} *", "hour": f"0 {step}"}[unit]
        return English(crons=(f"{fields} {self._date()}",))

    def _span(self, count: float, unit: str) -> English:
        span = to_span(count * _UNITS[unit] / SECOND)
        if not SHORTEST <= span <= LONGEST:
            raise NotUnderstood(f"every {count:g} {unit}s is out of range: from 0.1 seconds to a century")
        return English(span=span)

    def _on_days(self) -> English:
        if self._count != 1:
            assert self._unit is not None
            if not _UNITS[self._unit] or self._times or self._dated:
                raise NotUnderstood(
                    f"every {self._count:g} {self._unit}s is a span from tick to tick, which "
                    + ("months and years are not" if not _UNITS[self._unit] else "goes with no time or day")
                )
            return self._span(self._count, self._unit)
        if not (self._unit or self._times or self._dated):
            raise NotUnderstood("it does not say when")
        if self._unit == "week" and not self._dated:
            self._weekdays = ["0"]
        if self._unit == "year" and not self._months:
            self._months = [1]
        if (self._unit in {"month", "year"} or self._months) and not self._days and not self._weekdays:
            self._days = ["1"]
        return English(crons=self._daily())

    def _daily(self) -> tuple[str, ...]:
        """One expression for all the hours that share a minute."""
        hours: dict[tuple[int, int], list[int]] = {}
        for hour, minute, second in sorted(set(self._times)) or [(0, 0, 0)]:
            hours.setdefault((minute, second), []).append(hour)
        return tuple(
            f"{f'{second} ' if second else ''}{minute} {','.join(map(str, shared))} {self._date()}"
            for (minute, second), shared in hours.items()
        )


_CLOCK_LIKE = re.compile(r"\d{1,2}(?::\d{2}){0,2}|noon|midday|midnight|:\d{2}")


def _number(word: str) -> float | None:
    if word in _NUMBERS:
        return _NUMBERS[word]
    return float(word) if re.fullmatch(r"\d+(?:\.\d+)?", word) else None


def _day(number: int) -> str:
    if not 1 <= number <= 31:
        raise NotUnderstood(f"no month has a day {number}")
    return str(number)
