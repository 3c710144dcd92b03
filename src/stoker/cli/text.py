"""Text for people: nothing that a job carries can command the terminal, and spans and counts read like words."""

from __future__ import annotations

import re
from datetime import datetime

# C0 without newline and tab, DEL, C1, marks that turn the direction of text, and halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SPANS = ((86400, "d"), (3600, "h"), (60, "m"))


def clean(text: str) -> str:
    """The text with control characters written out as escapes; newlines and tabs stay."""
    return _UNSAFE.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def line(text: object) -> str:
    """The text, clean and on one line; None is nothing."""
    return "" if text is None else clean(" ".join(str(text).split()))


def clean_json(text: str) -> str:
    """JSON text that means the same and that no terminal obeys."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
