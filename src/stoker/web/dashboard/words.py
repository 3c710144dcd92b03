"""Numbers, times and values as people read them. Pure functions; templates have them as filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from stoker import clock
from stoker.job import State
from stoker.web.dashboard.fields import json_text
from stoker.web.present import encoded

LONGEST_DOCUMENT: Final = 60_000
"""Characters of a JSON document that are shown on a page."""
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def count(number: float) -> str:
    """`12,345`."""
    return f"{number:,}"


def compact(number: float) -> str:
    """`850`, `12k`, `1.5M`: for axes, where there is little room."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + unit
    return f"{number:g}"


def counted(number: int, noun: str, many: str = "") -> str:
    """`1 job`, `12,345 jobs`."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def by_state(counts: Mapping[str, int]) -> str:
    """`12 queued, 1,400 completed`: in the order in which a job goes through them."""
    return ", ".join(f"{counts[state]:,} {state}" for state in State if counts.get(state))


def sentence(text: str) -> str:
    """An error's text as a sentence."""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "?", "!")) else ".")


def span(seconds: float | None) -> str:
    """`250 ms`, `3.2 s`, `1 min 5 s`, `2 h 3 min`, `3 d 4 h`."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size or (parts and unit != "s"):
            number, left = divmod(left, size)
            parts.append(f"{number} {unit}" if number else "")
        elif parts:
            parts.append(f"{left} {unit}" if left else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def moment(value: datetime | int) -> datetime:
    """An instant, or what is a datetime already, as a datetime."""
    return clock.to_datetime(value) if isinstance(value, int) else value


def ago(value: datetime | int, now: int | None = None) -> str:
    """`now`, `3 s ago`, `5 min ago`, `in 2 h`: with one unit, so that it does not jump about."""
    seconds = ((clock.now() if now is None else now) - clock.to_instant(moment(value))) / clock.SECOND
    size = abs(seconds)
    if size < 1:
        return "now"
    number, unit = next((int(size // one), unit) for one, unit in _UNITS if size >= one)
    return f"{number} {unit} ago" if seconds > 0 else f"in {number} {unit}"


def stamp(value: datetime | int) -> str:
    """`2026-11-28 13:55:02 UTC`."""
    return f"{moment(value):%Y-%m-%d %H:%M:%S} UTC"


def clock_time(value: datetime | int) -> str:
    """`13:55`."""
    return f"{moment(value):%H:%M}"


def iso(value: datetime | int) -> str:
    """`2026-11-28T13:55:02.123Z`."""
    return moment(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(first: datetime, second: datetime) -> float:
    """From the one to the other."""
    return (second - first).total_seconds()


def percent(fraction: float) -> str:
    """`42 %`; what is not all is never written as 100 %."""
    return f"{min(99, int(fraction * 100)) if fraction < 1 else 100} %"


def share(fraction: float) -> str:
    """`0.8 %`: a small part of a whole, as exactly as one wants to know it."""
    number = fraction * 100
    return f"{number:.0f} %" if number == 0 or number >= 9.95 else f"{max(number, 0.1):.1f} %"


def rate(number: float) -> str:
    """`0.4`, `12`, `1,204`."""
    return f"{number:.1f}" if 0 < number < 9.95 else f"{number:,.0f}"


def line(text: str, longest: int = 200) -> str:
    """The beginning of a text, as one line."""
    one = " ".join(text[: longest * 2].split())
    return one if len(one) <= longest else f"{one[: longest - 1]}…"


def one_line(value: Any, longest: int = 120) -> str:
    """A JSON value, shortened."""
    return line(encoded(value)[: longest * 4].decode("utf-8", "ignore"), longest)


def call(args: Any, kwargs: Mapping[str, Any], longest: int = 120) -> str:
    """Arguments as in a call: `"cat.jpg", width=80`."""
    parts = [one_line(value, longest) for value in args[:20]]
    parts += [f"{line(str(name), 60)}={one_line(value, longest)}" for name, value in list(kwargs.items())[:20]]
    return line(", ".join(parts), longest)


def pretty(value: Any) -> str:
    """A JSON value with a line for each of its parts; the beginning of one that is very long."""
    text = json_text(value)
    if len(text) > LONGEST_DOCUMENT:
        return f"{text[:LONGEST_DOCUMENT]}\n… {len(text) - LONGEST_DOCUMENT:,} characters left out …"
    return text


_LOGGED: Final = re.compile(r"(\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d\.\d{3})Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)")


def log_lines(text: str) -> list[tuple[str, str, str]]:
    """A log's lines as `(time, level in small letters, what was said)`; lines that go on have neither."""
    found = []
    for one in text.splitlines():
        match = _LOGGED.fullmatch(one)
        found.append((match[2], match[3].lower(), match[4]) if match else ("", "", one))
    return found


_TOKEN: Final = re.compile(
    r'("(?:[^"\\\n]|\\.)*+(?:"|\\?$))(\s*:)?|\b(true|false|null)\b|(-?\d[\d.eE+-]*)', re.MULTILINE
)
"""A text that was cut off ends with its line; else each of its quotes would be a beginning to be looked at anew."""
_KEY: Final = Markup('<span class="j-key">')
_TEXT: Final = Markup('<span class="j-text">')
_WORD: Final = Markup('<span class="j-word">')
_NUMBER: Final = Markup('<span class="j-number">')
_END: Final = Markup("</span>")


def coloured(value: Any) -> Markup:
    """As `pretty`, with the kinds of its parts marked."""
    shown = pretty(value)
    parts: list[Markup] = []
    at = 0
    for match in _TOKEN.finditer(shown):
        text, colon, word, number = match.groups()
        kind = (_KEY if colon else _TEXT) if text is not None else _WORD if word else _NUMBER
        parts += [escape(shown[at : match.start()]), kind, escape(text or word or number), _END, escape(colon or "")]
        at = match.end()
    return Markup("").join([*parts, escape(shown[at:])])


def address(value: Any) -> str | None:
    """The value if it is a web address that a page may link to, else None."""
    if not isinstance(value, str) or len(value) > 2_000 or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and parts.netloc else None


def short(id: str) -> str:
    """The end of an id, which tells it from its neighbours."""
    return id[-8:]


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "count": count,
    "compact": compact,
    "counted": counted,
    "sentence": sentence,
    "span": span,
    "ago": ago,
    "stamp": stamp,
    "clock_time": clock_time,
    "iso": iso,
    "percent": percent,
    "share": share,
    "rate": rate,
    "line": line,
    "one_line": one_line,
    "call": call,
    "log_lines": log_lines,
    "coloured": coloured,
    "short": short,
}
"""By the names that templates use."""
