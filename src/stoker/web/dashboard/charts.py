"""Charts as geometry: how high each bar is, where the ticks are, and the same in words and as a table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from stoker.clock import to_datetime
from stoker.tally_store import MINUTE, Tally
from stoker.web.dashboard.words import counted

HEIGHT: Final = 100
"""Units of the plot's height; its width is one unit a bar."""
KINDS: Final = ("completed", "retried", "failed")
"""What a bar is made of, from below."""
_TICKS: Final = 4
_THINNEST: Final = 1.2
"""Units of height that one job has at least, so that a single failure is seen above thousands."""


class Piece(Struct, frozen=True):
    """A part of a bar."""

    kind: str
    top: float
    height: float


class Bar(Struct, frozen=True):
    """What ended within one step."""

    at: int
    """instant at which it begins"""
    completed: int
    retried: int
    failed: int
    pieces: Sequence[Piece]
    label: str
    """when, and how many, in words"""


class Chart(Struct, frozen=True):
    """How attempts ended, over time."""

    bars: Sequence[Bar]
    ticks: Sequence[int]
    """values on the axis, evenly spaced, from 0 to the top"""
    marks: Sequence[str]
    """times below it, evenly spaced"""
    completed: int
    retried: int
    failed: int
    span: str
    """`hour`"""

    @property
    def height(self) -> int:
        """Of the plot, in the units of its bars' pieces."""
        return HEIGHT

    @property
    def summary(self) -> str:
        """The whole chart in one sentence."""
        said = [f"{getattr(self, kind):,} {kind}" for kind in KINDS]
        busiest = max(self.bars, key=lambda bar: bar.completed + bar.retried + bar.failed)
        peak = busiest.completed + busiest.retried + busiest.failed
        when = f"; the most at {to_datetime(busiest.at):%H:%M} UTC: {peak:,}" if peak else ""
        return f"The last {self.span}: {', '.join(said)}{when}."

    @property
    def told(self) -> Sequence[Bar]:
        """Bars with something in them, the newest first."""
        return [bar for bar in reversed(self.bars) if bar.completed or bar.retried or bar.failed]


def hour(tallies: Sequence[Tally], now: int) -> Chart:
    """The last sixty minutes, a bar each."""
    return _chart(tallies, now, MINUTE, 60, "hour", ("60 min ago", "45", "30", "15", "now"))


def day(tallies: Sequence[Tally], now: int) -> Chart:
    """The last twenty-four hours, a bar for ten minutes."""
    return _chart(tallies, now, 10 * MINUTE, 144, "day", ("24 h ago", "18", "12", "6", "now"))


def _chart(tallies: Sequence[Tally], now: int, step: int, count: int, span: str, marks: Sequence[str]) -> Chart:
    last = max([now, *(tally.at for tally in tallies)]) // step
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for tally in tallies:
        for index, kind in enumerate(KINDS):
            sums[tally.at // step][index] += getattr(tally, kind)
    steps = range(last - count + 1, last + 1)
    top_value = max((sum(sums[number]) for number in steps), default=0)
    ticks = nice_ticks(top_value)
    bars = [_bar(number * step, step, sums[number], ticks[-1]) for number in steps]
    totals = [sum(sums[number][index] for number in steps) for index in range(len(KINDS))]
    completed, retried, failed = totals
    return Chart(bars, ticks, marks, completed, retried, failed, span)


def _bar(at: int, step: int, numbers: Sequence[int], most: int) -> Bar:
    heights = [max(_THINNEST, HEIGHT * number / most) if number else 0.0 for number in numbers]
    pieces, top = [], float(HEIGHT)
    for kind, height in zip(KINDS, heights, strict=True):
        top -= height
        if height:
            pieces.append(Piece(kind, round(max(top, 0.0), 2), round(height, 2)))
    completed, retried, failed = numbers
    return Bar(at, completed, retried, failed, pieces, _label(at, step, numbers))


def _label(at: int, step: int, numbers: Sequence[int]) -> str:
    begin, end = to_datetime(at), to_datetime(at + step)
    when = f"{begin:%H:%M} UTC" if step == MINUTE else f"{begin:%H:%M} to {end:%H:%M} UTC"
    said = [f"{number:,} {kind}" for kind, number in zip(KINDS, numbers, strict=True) if number]
    return "\n".join([when, *(said or [counted(0, "job")])])


def nice_ticks(most: int) -> list[int]:
    """Round whole numbers from 0 to the first that is not below `most`, evenly spaced."""
    rough = max(1.0, most / _TICKS)
    size = 10 ** math.floor(math.log10(rough))
    step = next(
        math.ceil(size * factor) for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough and _whole(size * factor)
    )
    top = max(1, math.ceil(most / step))
    return [step * number for number in range(top + 1)]


def _whole(number: float) -> bool:
    return number == int(number)
