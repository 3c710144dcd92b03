"""What people write for recurring times: what it means, and what is said of what means nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stoker.clock import SECOND, to_datetime, to_instant
from stoker.errors import InvalidOption
from stoker.timing.expression import parse, parse_cron, spoken
from stoker.timing.zone import zone

START = to_instant(datetime(2026, 1, 1, tzinfo=UTC))  # a Thursday

CRON_OF = {
    "at 10:00 am": ["0 10 * * *"],
    "at 10:00 AM.": ["0 10 * * *"],
    "at 12 a.m.": ["0 0 * * *"],
    "at 12 p.m.": ["0 12 * * *"],
    "at 10": ["0 10 * * *"],
    "at 10 o'clock": ["0 10 * * *"],
    "10:00": ["0 10 * * *"],
    "10:00:30": ["30 0 10 * * *"],
    "7 pm": ["0 19 * * *"],
    "at noon": ["0 12 * * *"],
    "every day": ["0 0 * * *"],
    "every day at 4:00 pm": ["0 16 * * *"],
    "daily at 3:00": ["0 3 * * *"],
    "every night at 2am": ["0 2 * * *"],
    "nightly": ["0 0 * * *"],
    "on sunday at 12:00": ["0 12 * * 0"],
    "every sunday": ["0 0 * * 0"],
    "sundays 8:30": ["30 8 * * 0"],
    "midnight on sundays": ["0 0 * * 0"],
    "7pm every thursday": ["0 19 * * 4"],
    "every thursday at 7pm": ["0 19 * * 4"],
    "5:30pm on tue,thu": ["30 17 * * 2,4"],
    "monday, wednesday and friday at 8:00": ["0 8 * * 1,3,5"],
    "every weekday at 9:30": ["30 9 * * 1-5"],
    "weekends at noon": ["0 12 * * 6,0"],
    "monday to friday at 9:00 and 17:30": ["0 9 * * 1,2,3,4,5", "30 17 * * 1,2,3,4,5"],
    "friday through monday": ["0 0 * * 5,6,0,1"],
    "every day at 9:00 and 17:00": ["0 9,17 * * *"],
    "run at midnight on the 1st and 15th of the month": ["0 0 1,15 * *"],
    "at midnight on the 1st of every month": ["0 0 1 * *"],
    "every month on the 5th": ["0 0 5 * *"],
    "day 15 of the month at 6:00": ["0 6 15 * *"],
    "every day of the month at 6:00": ["0 6 * * *"],
    "the last day of the month at 18:00": ["0 18 L * *"],
    "last weekday of the month": ["0 0 LW * *"],
    "first monday of the month at 9:00": ["0 9 * * 1#1"],
    "second tuesday of every month at 10:00": ["0 10 * * 2#2"],
    "last friday of the month": ["0 0 * * 5L"],
    "every january 1st at 00:00": ["0 0 1 1 *"],
    "december 24 at 6pm": ["0 18 24 12 *"],
    "24 december at 6pm": ["0 18 24 12 *"],
    "every year on march 3rd at 5am": ["0 5 3 3 *"],
    "every monday in january at 9:00": ["0 9 * 1 1"],
    "hourly": ["0 * * * *"],
    "every hour": ["0 * * * *"],
    "every hour at minute 15": ["15 * * * *"],
    "hourly at :15": ["15 * * * *"],
    "15 minutes past every hour": ["15 * * * *"],
    "at 15 minutes past the hour": ["15 * * * *"],
    "every minute": ["* * * * *"],
    "every 15 minutes on weekdays": ["*/15 * * * 1-5"],
    "every 2 hours on monday": ["0 */2 * * 1"],
    "every 10 seconds on sunday": ["*/10 * * * * 0"],
    "weekly": ["0 0 * * 0"],
    "weekly on monday": ["0 0 * * 1"],
    "every week on monday at 9am": ["0 9 * * 1"],
    "monthly": ["0 0 1 * *"],
    "yearly": ["0 0 1 1 *"],
    "once a day": ["0 0 * * *"],
    "twice a day": ["0 0,12 * * *"],
    "three times a day": ["0 0,8,16 * * *"],
    "4 times per hour": ["*/15 * * * *"],
    "twice a day on weekdays": ["0 0,12 * * 1-5"],
    "*/5 9-17 * * mon-fri": ["*/5 9-17 * * mon-fri"],
    "5 4 * * *": ["5 4 * * *"],
    "0 30 2 * * *": ["0 30 2 * * *"],
    "@daily": ["@daily"],
    "0 0 29 2 *": ["0 0 29 2 *"],
    "0 0 13 * fri": ["0 0 13 * fri"],
}

SECONDS_OF = {
    "every 15 seconds": 15,
    "every second": 1,
    "every 30s": 30,
    "every 5 min": 300,
    "every five minutes": 300,
    "every 90 minutes": 5400,
    "every 2 hours": 7200,
    "every 1.5 hours": 5400,
    "every 0.5 seconds": 0.5,
    "every 2 days": 2 * 86400,
    "every 3 weeks": 21 * 86400,
}

WRONG = {
    "": "a schedule is a text",
    "foo bar": "the word 'foo' means nothing here",
    "every": "it does not say when",
    "every morning": "the word 'morning' means nothing here",
    "every other day": "every 2 days",
    "every 0 seconds": "from 0.1 seconds",
    "every 0.01 seconds": "from 0.1 seconds",
    "every 2 months": "months and years are not",
    "every 2 days at 10:00": "goes with no time or day",
    "every hour at 10:00": "names a time of day as well",
    "every 7 minutes on monday": "must divide evenly",
    "every hour every 2 hours": "twice how often",
    "7": "it is not clear what the '7' counts",
    "5 times a day": "cannot be spread evenly",
    "twice a month": "cannot be spread evenly",
    "25:00": "'25:00' is no time of day",
    "at 13 pm": "there is no 13 pm",
    "at": "'at' ends it",
    "at tea": "after 'at' there is no time but 'tea'",
    "the last": "the last what?",
    "on the 32nd of the month": "no month has a day 32",
    "6th monday of the month": "no month has 6 of monday",
    "friday the 13th": "make two schedules of it",
    "monday to noon": "to which day?",
    "february 30th": "the day-of-month '30' never comes in the month '2'",
    "hourly at :75": "'75' is no minute of an hour",
    "0 0 31 2 *": "the day-of-month '31' never comes in the month '2'",
    "0 0 31 4,6 *": "the day-of-month '31' never comes in the month '4,6'",
    "60 * * * *": "'60' is no minute (0-59)",
    "* 24 * * *": "'24' is no hour (0-23)",
    "* * 0 * *": "'0' is no day-of-month",
    "* * * 13 *": "'13' is no month",
    "* * * * mond": "'mond' is no day-of-week",
    "*/0 * * * *": "'*/0' is no minute",
    "5-1 * * * *": "'5-1' is no minute",
    "* * *": "it has 3 fields, not 5",
    "0 0 12 1 1 ? 2030": "it has 7 fields, not 5",
    "@reboot": "there is no @reboot; there are @yearly",
}


@pytest.mark.parametrize("text", CRON_OF)
def test_calendar_expressions(text):
    assert [cron.text for cron in parse(text).crons] == CRON_OF[text]
    assert parse(text).after(START, UTC) > START


@pytest.mark.parametrize("text", SECONDS_OF)
def test_spans(text):
    assert parse(text).span == SECONDS_OF[text] * SECOND


@pytest.mark.parametrize("text", WRONG)
def test_what_is_not_understood_is_named(text):
    with pytest.raises(InvalidOption) as caught:
        parse(text)
    message = str(caught.value)
    assert WRONG[text] in message
    assert "every weekday at 9:30" in message  # an example
    if text:
        assert repr(text) in message
        assert "As cron:" in message
        assert "In English:" in message


@pytest.mark.parametrize("value", [None, 5, ["daily"]])
def test_only_texts_are_expressions(value):
    with pytest.raises((InvalidOption, TypeError)):
        parse(value)


def test_spans_are_counted_from_1970_and_not_from_a_start():
    timing = parse("every 15 seconds")
    assert timing.after(START, UTC) == START + 15 * SECOND
    assert timing.after(START + 1, UTC) == START + 15 * SECOND
    assert timing.after(START + 15 * SECOND - 1, UTC) == START + 15 * SECOND
    assert parse("every 7 seconds").after(0, UTC) == 7 * SECOND


def test_several_times_are_all_kept():
    timing = parse("monday to friday at 9:00 and 17:30")
    found = []
    for tick in timing.ticks(START, UTC):
        found.append(to_datetime(tick))
        if len(found) == 5:
            break
    assert [f"{moment:%a %d %H:%M}" for moment in found] == [
        "Thu 01 09:00",
        "Thu 01 17:30",
        "Fri 02 09:00",
        "Fri 02 17:30",
        "Mon 05 09:00",
    ]


def test_the_newest_ticks_are_found_however_many_there_were():
    minutely = parse("* * * * *")
    now = START + 400 * 86400 * SECOND + 30 * SECOND
    assert minutely.newest(START, now, UTC, 1) == [now - 30 * SECOND]
    assert minutely.newest(START, now, UTC, 3) == [now - (30 + 60 * back) * SECOND for back in (2, 1, 0)]
    assert minutely.newest(now - 30 * SECOND, now, UTC, 3) == [now - 30 * SECOND]
    assert parse("0 0 29 2 *").newest(START, now, UTC, 5) == []


def test_a_date_that_comes_every_fourth_year_is_found():
    assert to_datetime(parse("0 0 29 2 *").after(START, UTC)) == datetime(2028, 2, 29, tzinfo=UTC)


def test_time_has_an_end():
    last = to_instant(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert parse("* * * * *").after(last, UTC) is None


def test_cron_is_not_english():
    with pytest.raises(InvalidOption, match="not understood as cron"):
        parse_cron("every day")
    assert parse_cron("0 12 * * *").crons


def test_spans_in_words():
    assert spoken(15) == "every 15 seconds"
    assert spoken(0.5) == "every 0.5 seconds"
    assert spoken(timedelta(minutes=2)) == "every 120 seconds"
    for wrong in (0, -1, float("nan"), float("inf"), True, "15", 1e12):
        with pytest.raises(InvalidOption, match=r"every\(\) takes"):
            spoken(wrong)


def test_zones_are_named_as_iana_names_them():
    assert zone(None) is UTC
    assert str(zone("Europe/Berlin")) == "Europe/Berlin"
    with pytest.raises(InvalidOption, match="did you mean Europe/Berlin"):
        zone("Europe/Berlim")
    for wrong in ("../etc/passwd", "", "Europe", "\x00"):
        with pytest.raises(InvalidOption, match="no time zone"):
            zone(wrong)
