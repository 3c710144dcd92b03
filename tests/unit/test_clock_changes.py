"""Cron where clocks are set: fixed hours once a day, wildcard hours in real time, in zones of every kind."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.clock import SECOND, to_datetime, to_instant
from stoker.timing.expression import parse
from stoker.timing.zone import zone

BERLIN, NEW_YORK, SANTIAGO, LORD_HOWE = "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe"


def local(text: str, name: str, begin: str, count: int) -> list[str]:
    """The next ticks as a clock there shows them, with its distance from UTC."""
    where = zone(name)
    start = to_instant(datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(name)))
    ticks = islice(parse(text).ticks(start, where), count)
    return [f"{to_datetime(tick).astimezone(where):%d %H:%M:%S%z}" for tick in ticks]


# Berlin: 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00. New York: 03-08 02:00 → 03:00, 11-01 02:00 → 01:00.
# Santiago: 2026-04-05 00:00 → 23:00 of the 4th, 2026-09-06 00:00 → 01:00. Lord Howe: 30 minutes, at 02:00:
# 2026-04-05 02:00 → 01:30, 2026-10-04 02:00 → 02:30.
CASES = {
    "berlin, a time that does not exist": (
        *("30 2 * * *", BERLIN, "2026-03-28 00:00"),
        ["28 02:30:00+0100", "29 03:00:00+0200", "30 02:30:00+0200"],
    ),
    "berlin, with seconds": (
        *("15 30 2 * * *", BERLIN, "2026-03-28 00:00"),
        ["28 02:30:15+0100", "29 03:00:00+0200", "30 02:30:15+0200"],
    ),
    "berlin, many times that do not exist are one": (
        *("*/20 2 * * *", BERLIN, "2026-03-28 12:00"),
        ["29 03:00:00+0200", "30 02:00:00+0200", "30 02:20:00+0200"],
    ),
    "berlin, a gap beside an hour that exists": (
        *("0 2,3 * * *", BERLIN, "2026-03-28 12:00"),
        ["29 03:00:00+0200", "30 02:00:00+0200", "30 03:00:00+0200"],
    ),
    "berlin, a time that comes twice": (
        *("30 2 * * *", BERLIN, "2026-10-24 12:00"),
        ["25 02:30:00+0200", "26 02:30:00+0100"],
    ),
    "berlin, with seconds, twice": (
        *("0 30 2 * * *", BERLIN, "2026-10-24 12:00"),
        ["25 02:30:00+0200", "26 02:30:00+0100"],
    ),
    "berlin, a range of hours": (
        *("30 1-3 * * *", BERLIN, "2026-10-25 00:00"),
        ["25 01:30:00+0200", "25 02:30:00+0200", "25 03:30:00+0100"],
    ),
    "berlin, every hour in spring": (
        *("30 * * * *", BERLIN, "2026-03-29 01:00"),
        ["29 01:30:00+0100", "29 03:30:00+0200"],
    ),
    "berlin, every hour in autumn": (
        *("30 * * * *", BERLIN, "2026-10-25 01:00"),
        ["25 01:30:00+0200", "25 02:30:00+0200", "25 02:30:00+0100", "25 03:30:00+0100"],
    ),
    "berlin, all hours is every hour": (
        *("30 0-23 * * *", BERLIN, "2026-10-25 02:00"),
        ["25 02:30:00+0200", "25 02:30:00+0100", "25 03:30:00+0100"],
    ),
    "new york, in spring": (
        *("every day at 2:15", NEW_YORK, "2026-03-07 12:00"),
        ["08 03:00:00-0400", "09 02:15:00-0400"],
    ),
    "new york, in autumn": (
        *("every day at 1:15", NEW_YORK, "2026-10-31 12:00"),
        ["01 01:15:00-0400", "02 01:15:00-0500"],
    ),
    "santiago, midnight does not exist": (
        *("@daily", SANTIAGO, "2026-09-05 12:00"),
        ["06 01:00:00-0300", "07 00:00:00-0300"],
    ),
    "santiago, an hour before midnight comes twice": (
        *("30 23 * * *", SANTIAGO, "2026-04-04 12:00"),
        ["04 23:30:00-0300", "05 23:30:00-0400"],
    ),
    "santiago, every hour when one comes twice": (
        *("0 * * * *", SANTIAGO, "2026-04-04 22:30"),
        ["04 23:00:00-0300", "04 23:00:00-0400", "05 00:00:00-0400"],
    ),
    "lord howe, half an hour does not exist": (
        *("15 2 * * *", LORD_HOWE, "2026-10-03 12:00"),
        ["04 02:30:00+1100", "05 02:15:00+1100"],
    ),
    "lord howe, half an hour comes twice": (
        *("45 1 * * *", LORD_HOWE, "2026-04-04 12:00"),
        ["05 01:45:00+1100", "06 01:45:00+1030"],
    ),
    "lord howe, every other hour in autumn": (
        *("0 */2 * * *", LORD_HOWE, "2026-04-04 23:30"),
        ["05 00:00:00+1100", "05 02:00:00+1030", "05 04:00:00+1030"],
    ),
    "lord howe, every half hour in autumn": (
        *("*/30 * * * *", LORD_HOWE, "2026-04-05 01:00"),
        ["05 01:30:00+1100", "05 01:30:00+1030", "05 02:00:00+1030"],
    ),
    "lord howe, every half hour in spring": (
        *("*/30 * * * *", LORD_HOWE, "2026-10-04 01:00"),
        ["04 01:30:00+1030", "04 02:30:00+1100", "04 03:00:00+1100"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_clocks_that_are_set(case):
    text, name, begin, expected = CASES[case]
    assert local(text, name, begin, len(expected)) == expected


def test_the_second_time_is_not_taken_for_the_first():
    """A scheduler that looks while the hour comes for the second time does not fire again."""
    again = to_instant(datetime(2026, 10, 25, 2, 10, tzinfo=ZoneInfo(BERLIN), fold=1))
    assert to_datetime(parse("30 2 * * *").after(again, zone(BERLIN))).day == 26


# --- properties -----------------------------------------------------------------------------------------------------

FIELDS = ("0", "30", "15,45", "*/7", "*", "59"), ("2", "1-3", "0", "23", "*", "*/2", "*/5"), ("*", "1", "5", "29", "L")
ZONES = (
    "UTC",
    BERLIN,
    NEW_YORK,
    SANTIAGO,
    LORD_HOWE,
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Tehran",
)
EDGES = [
    to_instant(datetime(2026, month, day, tzinfo=UTC))
    for month, day in ((3, 8), (3, 29), (4, 4), (9, 5), (10, 3), (10, 25), (11, 1), (2, 14), (3, 21))
]

expressions = st.one_of(
    st.builds(lambda m, h, d: f"{m} {h} {d} * *", *map(st.sampled_from, FIELDS)),
    st.builds(lambda m, h: f"0 {m} {h} * * mon-fri,sun", *map(st.sampled_from, FIELDS[:2])),
)
instants = st.builds(
    lambda edge, shift: edge + shift, st.sampled_from(EDGES), st.integers(-50_000 * SECOND, 120_000 * SECOND)
)


@given(expressions, st.sampled_from(ZONES), instants)
def test_ticks_grow_and_none_is_skipped(text, name, start):
    """From wherever one asks between two ticks, the answer is the second one."""
    timing, where = parse(text), zone(name)
    ticks = list(islice(timing.ticks(start, where), 8))
    assert all(earlier < later for earlier, later in zip([start, *ticks], ticks, strict=False))
    chance = random.Random(start)
    for earlier, later in zip([start, *ticks], ticks, strict=False):
        for probe in {earlier, later - 1, chance.randrange(earlier, later)}:
            assert timing.after(probe, where) == later


@given(st.sampled_from(FIELDS[0]), st.sampled_from(("*", "*/2", "*/5")), st.sampled_from(ZONES), instants)
def test_wildcard_hours_are_what_the_clocks_show(minute, hour, name, start):
    """Compared with a look at every minute."""
    where = zone(name)
    timing = parse(f"{minute} {hour} * * *")
    first = (start // (60 * SECOND) + 1) * 60 * SECOND
    shown = [first + n * 60 * SECOND for n in range(8 * 60)]
    minutes, hours = parse(f"{minute} * * * *").crons[0]._sim.minutes, parse(f"0 {hour} * * *").crons[0]._sim.hours
    expected = [at for at in shown if (w := to_datetime(at).astimezone(where)).minute in minutes and w.hour in hours]
    found = []
    for tick in timing.ticks(start, where):
        if tick > shown[-1]:
            break
        found.append(tick)
    assert found == expected


@given(st.sampled_from(("30 2 * * *", "0 0 * * *", "15 1 * * *", "45 23 * * *")), st.sampled_from(ZONES), instants)
def test_a_fixed_hour_comes_once_a_day(text, name, start):
    where = zone(name)
    ticks = [to_datetime(tick).astimezone(where) for tick in islice(parse(text).ticks(start, where), 5)]
    days = [tick.date() for tick in ticks]
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
