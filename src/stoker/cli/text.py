"""Text for people: one line where one is wanted, and spans and counts that read like words."""

from __future__ import annotations

from datetime import datetime

from stoker.printable import clean

_SPANS = ((86400, "d"), (3600, "h"), (60, "m"))


def line(text: object) -> str:
    """The text, clean and on one line; None is nothing."""
    return "" if text is None else clean(" ".join(str(text).split()))


def span(seconds: float) -> str:
    """Seconds as people say them: `3d`, `2h`, `15m`, `40s`, `0.5s`."""
    for size, unit in _SPANS:
        if seconds >= size * 2:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s" if seconds >= 10 or seconds == 0 else f"{seconds:.1f}s"


def since(moment: datetime, now: datetime) -> str:
    """How long ago, or in how long."""
    seconds = (now - moment).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def counted(number: int, noun: str = "job") -> str:
    """`1 job`, `12 jobs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
