"""Time zones by their IANA names, and where their clocks change."""

from __future__ import annotations

from datetime import UTC, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from stoker.clock import SECOND, to_datetime
from stoker.errors import InvalidOption

DAY: Final = 24 * 3600 * SECOND


@lru_cache(maxsize=1000)
def zone(name: str | None) -> tzinfo:
    """The time zone of that name; UTC without. Raises `InvalidOption`, with names that are like it."""
    if name is None or name == "UTC":
        return UTC
    if not isinstance(name, str):
        raise InvalidOption(f"tz must be the name of a time zone, as 'Europe/Berlin', not {name!r}")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not known; not a name; a folder
        like = get_close_matches(name, sorted(available_timezones()), 3, 0.6)
        advice = f"; did you mean {' or '.join(like)}?" if like else "; write it like 'Europe/Berlin'"
        raise InvalidOption(f"there is no time zone {name!r}{advice}") from None


def offset(where: tzinfo, instant: int) -> int:
    """The span by which the zone's clocks are ahead of UTC then."""
    ahead = to_datetime(instant).astimezone(where).utcoffset()
    assert ahead is not None
    return round(ahead.total_seconds()) * SECOND


def next_change(where: tzinfo, low: int, high: int) -> int | None:
    """The first instant in `(low, high]` at which the zone's clocks are set; None: they are not."""
    if where is UTC:
        return None
    before = offset(where, low)
    while low < high:
        probe = min(low + DAY, high)  # nobody sets clocks forth and back within a day
        if offset(where, probe) != before:
            return _change(where, low, probe, before)
        low = probe
    return None


def _change(where: tzinfo, low: int, high: int, before: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        if offset(where, middle) == before:
            low = middle
        else:
            high = middle
    return high
