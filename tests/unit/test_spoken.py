"""Cron in words: what is said means the same when it is read again, and what is not simple is not said."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.timing.expression import parse
from stoker.timing.zone import zone
from stoker.web.dashboard.spoken import spoken

NEW_YEAR = 1_767_225_600_000_000


def ticks(expression: str) -> list[int]:
    return list(islice(parse(expression).ticks(NEW_YEAR, zone(None)), 40))


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/15 * * * * *", "every 15 seconds"),
        ("5 * * * *", "every hour at :05"),
        ("@hourly", "every hour at :00"),
        ("@daily", "every day at 00:00"),
        ("0 3 * * *", "every day at 03:00"),
        ("0 30 9,17 * * *", "every day at 09:30 and 17:30"),
        ("30 7 * * mon-fri", "every weekday at 07:30"),
        ("30 7 * * 1,fri,0", "every Monday, Friday and Sunday at 07:30"),
        ("0 3 1,15,22 * *", "on the 1st, 15th and 22nd of every month at 03:00"),
        ("0 3 L * *", "on the last day of every month at 03:00"),
        ("@yearly", "every year on 1 January at 00:00"),
    ],
)
def test_what_is_said_means_the_same(expression, words):
    assert spoken(expression) == words
    assert ticks(words) == ticks(expression)


def test_minutes_of_some_hours():
    assert spoken("*/5 9-17 * * mon-fri") == "every 5 minutes from 09:00 to 17:59, Monday to Friday"
    assert spoken("* 9-17 * * *") == "every minute from 09:00 to 17:59"


@pytest.mark.parametrize(
    "expression",
    [
        *("every 15 seconds", "every weekday at 9:30", "*/7 * * * *", "0 0 13 * fri", "0 0 * * 5L", "0 0 * * fri#2"),
        *("0 0 LW * *", "15 10-12/2 * * *", "5,10 3 * * *", "30 0 * * * *", "1-3 * * * *", "", "not cron at all ok"),
        "0 9-17 * * *",
    ],
)
def test_what_is_in_words_or_not_simple_is_left_as_it_is(expression):
    assert spoken(expression) is None


FIELD = st.sampled_from(["*", "*/1", "*/5", "*/20", "0", "1", "2,5", "3-7", "1-5", "0-23", "6,4,2", "12", "7"])


@given(st.lists(FIELD, min_size=5, max_size=6))
@settings(max_examples=400, deadline=None)
def test_whatever_is_said_means_the_same(fields):
    expression = " ".join(fields)
    try:
        expected = ticks(expression)
    except ValueError:
        return
    words = spoken(expression)
    if words is not None and " from " not in words:
        assert ticks(words) == expected
