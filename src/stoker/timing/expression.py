"""What people write for recurring times, whichever way they do: cron or plain English, told apart by trying both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta, tzinfo
from functools import lru_cache

from stoker.clock import SECOND
from stoker.errors import InvalidOption
from stoker.timing import english
from stoker.timing.cron import Cron, NotUnderstood

EXAMPLES = (
    "'*/5 9-17 * * mon-fri'",
    "'@daily'",
    "'every 15 seconds'",
    "'every weekday at 9:30'",
    "'7pm every thursday'",
    "'at midnight on the 1st and 15th of the month'",
)


class Timing:
    """When something recurs: every span since 1970, or whenever one of several cron expressions says so."""

    def __init__(self, span: int | None = None, crons: tuple[Cron, ...] = ()) -> None:
        self.span = span
        self.crons = crons

    def __repr__(self) -> str:
        return f"<Timing every {self.span} µs>" if self.span else f"<Timing {[cron.text for cron in self.crons]}>"

    def after(self, instant: int, where: tzinfo) -> int | None:
        """The first tick later than that instant; None: there is none."""
        if self.span is not None:
            return (instant // self.span + 1) * self.span
        ticks = [tick for cron in self.crons if (tick := cron.after(instant, where)) is not None]
        return min(ticks, default=None)

    def ticks(self, instant: int, where: tzinfo) -> Iterator[int]:
        """All ticks later than that instant, in order."""
        tick = self.after(instant, where)
        while tick is not None:
            yield tick
            tick = self.after(tick, where)

    def newest(self, first: int, now: int, where: tzinfo, most: int) -> list[int]:
        """The last ticks from `first` to `now`, both included, at most that many, oldest first."""
        reach = 64 * SECOND
        while True:
            low = max(first - 1, now - reach)
            found = []
            for tick in self.ticks(low, where):
                if tick > now:
                    break
                found.append(tick)
            if len(found) >= most or low <= first - 1:
                return found[-most:]
            reach *= 4


@lru_cache(maxsize=20_000)
def parse(text: str) -> Timing:
    """When a text says. Raises `InvalidOption` with what each reading does not understand, and examples."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidOption(f"a schedule is a text, for example {', '.join(EXAMPLES)}; not {text!r}")
    try:
        return Timing(crons=(Cron(text.strip()),))
    except NotUnderstood as error:
        as_cron = error
    try:
        said = english.read(text)
        return Timing(said.span, tuple(Cron(cron) for cron in said.crons))
    except NotUnderstood as error:
        as_english = error
    raise InvalidOption(
        f"{text!r} is not understood as a schedule.\n  As cron: {as_cron}.\n  In English: {as_english}.\n"
        f"  Examples: {', '.join(EXAMPLES)}"
    )


@lru_cache(maxsize=1000)
def parse_cron(text: str) -> Timing:
    """The same for what must be cron. Raises `InvalidOption`."""
    if not isinstance(text, str):
        raise InvalidOption(f"a cron expression is a text, for example '*/5 9-17 * * mon-fri', not {text!r}")
    try:
        return Timing(crons=(Cron(text.strip()),))
    except NotUnderstood as error:
        raise InvalidOption(
            f"{text!r} is not understood as cron: {error}. Examples: '*/5 9-17 * * mon-fri', '@daily'"
        ) from None


def spoken(every: float | timedelta) -> str:
    """The expression for a span in seconds. Raises `InvalidOption`."""
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds:  # noqa: PLR0124 - NaN
        raise InvalidOption(f"every() takes seconds or a timedelta, not {every!r}")
    text = f"every {seconds:.6f}".rstrip("0").rstrip(".") if isinstance(seconds, float) else f"every {seconds}"
    text += " seconds"
    try:
        parse(text)
    except InvalidOption:
        raise InvalidOption(f"every() takes from 0.1 seconds to a century, not {every!r}") from None
    return text
