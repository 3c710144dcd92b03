"""What the text of a field says; what it cannot say is refused with `InvalidArguments` or `InvalidOption`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, tzinfo
from itertools import accumulate
from typing import Any, Final

import msgspec

from stoker.clock import to_datetime
from stoker.errors import InvalidArguments, InvalidOption
from stoker.web.present import encoded

_MOST_INDENTS: Final = 10_000_000
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def json_list(text: str) -> list[Any]:
    """Arguments by position."""
    value = _json(text)
    if not isinstance(value, list):
        raise InvalidArguments('arguments by position are a JSON list: ["cat.jpg", 80]')
    return value


def json_object(text: str) -> dict[str, Any]:
    """Arguments by name."""
    value = _json(text)
    if not isinstance(value, dict):
        raise InvalidArguments('arguments by name are a JSON object: {"width": 80}')
    return value


def json_text(value: Any) -> str:
    """The value as a field shows it: all of it, for `json_list` and `json_object` to read back.

    It has a line for each of its parts, but where it is nested so deeply that the indents would be most of it.
    """
    compact = encoded(value)
    return (msgspec.json.format(compact, indent=2) if _indents(compact) < _MOST_INDENTS else compact).decode()


def _indents(compact: bytes) -> int:
    """About how many spaces would indent it, or more: signs in texts are taken for brackets."""
    opened = compact.count(b"[") + compact.count(b"{")
    lines = opened + compact.count(b",")
    if 2 * lines * opened < _MOST_INDENTS:
        return 2 * lines * opened
    brackets = compact.translate(None, _NO_BRACKETS)
    return 2 * lines * max(accumulate(1 if sign in b"[{" else -1 for sign in brackets))


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArguments(f"this is not JSON: {error}") from None


def whole_number(text: str) -> int:
    """A whole number, of whatever size: the option that it is for knows its limits."""
    try:
        return int(text)
    except ValueError:
        raise InvalidOption(f"write a whole number, not {text[:50]!r}") from None


def seconds(text: str) -> float:
    """Any number: the option that it is for refuses what no span can be."""
    try:
        return float(text)
    except ValueError:
        raise InvalidOption(f"write seconds, as 60 or 0.5, not {text[:50]!r}") from None


def moment_in(where: tzinfo, text: str) -> datetime:
    """A moment by the clocks of this zone, if the text names no other offset from UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidOption(f"write a time as 2030-01-31 09:00, not {text[:50]!r}") from None
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=where)


def moment_text(instant: int, where: tzinfo) -> str:
    """The instant as a field shows it: for `moment_in` to read back, in whatever zone."""
    moment = to_datetime(instant)
    with suppress(OverflowError):  # there, it is the year 0 or 10000
        moment = moment.astimezone(where)
    return moment.isoformat().replace("+00:00", "Z")
