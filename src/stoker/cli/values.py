"""Values as people type them. What cannot be read is a usage error that says how to write it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
import typer

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def age(text: str) -> float:
    """Seconds: `90`, `15m`, `12h`, `30d`."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a span of time; write 90 (seconds), 15m, 12h or 30d")
    return float(found[1]) * _UNITS[found[2] or "s"]


def moment(text: str) -> datetime:
    """An aware time, as ISO 8601 writes it."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time; write it like 2030-01-31T09:00:00+01:00") from None
    if read.utcoffset() is None:
        raise typer.BadParameter(f"{text!r} has no time zone; write {text}Z for UTC, or {text}+01:00")
    return read


def queues(texts: list[str] | None) -> dict[str, int | None] | None:
    """`mail:4` is the queue mail with at most 4 jobs at once, `mail` one without a limit of its own."""
    if not texts:
        return None
    found: dict[str, int | None] = {}
    for text in texts:
        name, colon, limit = text.rpartition(":")
        if not colon:
            name, limit = text, ""
        elif not limit.isascii() or not limit.isdecimal() or int(limit) < 1:
            raise typer.BadParameter(f"{text!r}: write QUEUE or QUEUE:LIMIT, as in mail:4", param_hint="--queue")
        if not name:
            raise typer.BadParameter(f"{text!r} names no queue", param_hint="--queue")
        found[name] = int(limit) if limit else None
    return found


def split(texts: list[str] | None) -> list[str]:
    """`a,b` and `a` `b` alike."""
    return [part for text in texts or () for part in text.split(",") if part]


def named(text: str) -> tuple[str | None, str]:
    """The name and the text of an argument: `width=80`, or just `80`."""
    found = _NAMED.fullmatch(text)
    return (found[1], found[2]) if found else (None, text)


def value(text: str, hint: Any = Any) -> Any:
    """A value as JSON where it is JSON, else the text itself. `42` for a `str` stays a text."""
    try:
        read = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if hint is str and not isinstance(read, str) else read


def mapping(text: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        read = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--kwargs") from None
    if not isinstance(read, dict):
        raise typer.BadParameter("write a JSON object, as in '{\"width\": 80}'", param_hint="--kwargs")
    return read
