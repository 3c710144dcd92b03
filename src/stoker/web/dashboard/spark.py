"""A chart as small as a word: what ended well and what failed, one bar for each while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

HEIGHT: Final = 24
"""In units of the drawing; a bar with its gap is two wide."""


class Spark(Struct, frozen=True):
    """Two paths, one on top of the other, and what they add up to."""

    width: int
    done: str
    failed: str
    total_done: int
    total_failed: int

    @property
    def height(self) -> int:
        """Of the drawing; `width` is in the same units."""
        return HEIGHT


def spark(done: Sequence[int], failed: Sequence[int]) -> Spark:
    """The chart; it is as high as its highest bar, and whatever is not nothing can be seen."""
    most = max((one + other for one, other in zip(done, failed, strict=True)), default=0)
    tops = [_height(number, most) for number in done]
    reds = [_height(number, most) for number in failed]
    return Spark(
        width=2 * len(done),
        done=_bars([0.0] * len(done), tops),
        failed=_bars([min(top, HEIGHT - red) for top, red in zip(tops, reds, strict=True)], reds),
        total_done=sum(done),
        total_failed=sum(failed),
    )


def _height(number: int, most: int) -> float:
    return max(1.0, round(HEIGHT * number / most, 1)) if number else 0.0


def _bars(floors: Sequence[float], heights: Sequence[float]) -> str:
    return "".join(
        f"M{2 * place} {HEIGHT - floor:g}v{-height:g}h1.5v{height:g}z"
        for place, (floor, height) in enumerate(zip(floors, heights, strict=True))
        if height
    )
