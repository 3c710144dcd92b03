"""Bars, charts as small as a word, and labels: what there is can be seen, and nothing is longer than its room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.clock import SECOND
from stoker.job import State
from stoker.store import Fair, QueueInfo, QueueLimit
from stoker.tally_store import MINUTE, Tally
from stoker.web.dashboard.drawing import cut, shares
from stoker.web.dashboard.queues import limit_words, rows
from stoker.web.dashboard.spark import HEIGHT, spark

NOW = 1_000_000 * MINUTE + 30 * SECOND
ENDED = (State.COMPLETED, State.FAILED, State.CANCELLED, State.PROCESSING)


@given(st.dictionaries(st.sampled_from(State), st.integers(1, 100_000), min_size=1))
def test_shares_stand_side_by_side_within_their_room(counts):
    bars = shares(counts, 100, 0.6)
    assert {bar.state for bar in bars} == {state for state in ENDED if state in counts}
    at = 0.0
    for bar in bars:
        assert bar.x == pytest.approx(at, abs=0.02)
        assert bar.width >= 0.59
        at += bar.width
    assert at <= 100.05


def test_one_failure_among_ten_thousand_can_be_seen():
    done, failed = shares({State.COMPLETED: 9_999, State.FAILED: 1}, 100, 0.6)
    assert (done.width, failed.width) == (99.4, 0.6)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=60))
def test_every_minute_with_something_has_a_bar_inside_the_chart(minutes):
    made = spark([done for done, _ in minutes], [failed for _, failed in minutes])
    assert made.done.count("M") == sum(1 for done, _ in minutes if done)
    assert made.failed.count("M") == sum(1 for _, failed in minutes if failed)
    for path in (made.done, made.failed):
        for bar in path.split("M")[1:]:
            floor, up = (float(part) for part in bar.split(" ")[1].split("h")[0].split("v"))
            assert floor + up >= -0.11
            assert floor <= HEIGHT


def test_tallies_fall_into_their_minutes():
    tallies = [
        Tally(queue="mail", completed=3, at=NOW // MINUTE * MINUTE),
        Tally(queue="mail", failed=2, at=NOW // MINUTE * MINUTE - 59 * MINUTE),
        Tally(queue="mail", completed=99, at=NOW // MINUTE * MINUTE - 60 * MINUTE),
        Tally(queue="gone", completed=1, at=NOW // MINUTE * MINUTE),
    ]
    gone, idle, mail = rows([QueueInfo(name="mail", queued=4), QueueInfo(name="idle")], tallies, NOW)
    assert (gone.info.name, gone.hour.total_done) == ("gone", 1)
    assert (idle.hour.total_done, idle.hour.done) == (0, "")
    assert (mail.info.queued, mail.hour.total_done, mail.hour.total_failed) == (4, 3, 2)
    assert mail.hour.done.startswith("M118 ")
    assert mail.hour.failed.startswith("M0 ")


def test_limits_in_words():
    assert limit_words(QueueLimit()) == []
    assert limit_words(QueueLimit(1_000, 1, 10 * SECOND, Fair.SHARE)) == ["1,000 at once", "1/10s", "fair by argument"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short"),
        ("exactly_10", "exactly_10"),
        ("one_longer_", "one_longe…"),
        ("  two\n words ", "two words"),
        ("一二三四五", "一二三四五"),
        ("一二三四五六", "一二三四…"),
        ("", ""),
    ],
)
def test_labels_are_cut_where_there_is_no_room(text, shown):
    assert cut(text, 10) == shown
