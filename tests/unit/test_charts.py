"""Charts as geometry."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.tally_store import MINUTE, Tally
from stoker.web.dashboard.charts import HEIGHT, Chart, day, hour, nice_ticks

NOW = 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (3, [0, 1, 2, 3]),
        (7, [0, 2, 4, 6, 8]),
        (9, [0, 5, 10]),
        (80, [0, 20, 40, 60, 80]),
        (97, [0, 25, 50, 75, 100]),
        (101, [0, 50, 100, 150]),
        (12_345, [0, 5000, 10_000, 15_000]),
    ],
)
def test_ticks_are_round(most: int, ticks: list[int]) -> None:
    assert nice_ticks(most) == ticks


@given(st.integers(0, 10**12))
def test_ticks_are_few_even_and_enough(most: int) -> None:
    ticks = nice_ticks(most)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] >= most
    assert {after - before for before, after in pairwise(ticks)} == {ticks[1]}


def test_bars_stand_where_their_minutes_are() -> None:
    this = NOW // MINUTE * MINUTE
    tallies = [
        Tally(queue="a", completed=3, at=this),
        Tally(queue="b", completed=1, failed=4, retried=2, at=this),
        Tally(queue="a", completed=5, at=this - 59 * MINUTE),
        Tally(queue="a", completed=100, at=this - 60 * MINUTE),
    ]
    chart = hour(tallies, NOW)
    assert len(chart.bars) == 60
    assert [bar.at for bar in chart.bars] == [this - minute * MINUTE for minute in range(59, -1, -1)]
    first, last = chart.bars[0], chart.bars[-1]
    assert (first.completed, last.completed, last.retried, last.failed) == (5, 4, 2, 4)
    assert (chart.completed, chart.retried, chart.failed) == (9, 2, 4), "what is older is not counted"
    assert chart.ticks == [0, 5, 10]
    assert [(piece.kind, piece.top, piece.height) for piece in last.pieces] == [
        ("completed", 60.0, 40.0),
        ("retried", 40.0, 20.0),
        ("failed", 0.0, 40.0),
    ]
    assert chart.summary.startswith("The last hour: 9 completed, 2 retried, 4 failed; the most at ")
    assert [bar.at for bar in chart.told] == [last.at, first.at]


def test_a_day_has_a_bar_for_ten_minutes() -> None:
    ten = 10 * MINUTE
    chart = day([Tally(queue="a", completed=1, at=NOW // ten * ten)], NOW)
    assert len(chart.bars) == 144
    assert chart.bars[-1].completed == 1
    assert " to " in chart.bars[-1].label


def test_nothing_at_all_is_a_chart_too() -> None:
    chart = hour([], NOW)
    assert chart.ticks == [0, 1]
    assert all(bar.pieces == [] for bar in chart.bars)
    assert chart.summary == "The last hour: 0 completed, 0 retried, 0 failed."
    assert chart.told == []


def test_a_single_failure_is_seen_above_thousands() -> None:
    chart = hour([Tally(queue="a", completed=100_000, failed=1, at=NOW // MINUTE * MINUTE)], NOW)
    assert chart.bars[-1].pieces[-1].kind == "failed"
    assert chart.bars[-1].pieces[-1].height >= 1


def test_a_store_whose_clock_is_ahead_of_ours_loses_nothing() -> None:
    ahead = NOW // MINUTE * MINUTE + 2 * MINUTE
    assert hour([Tally(queue="a", completed=7, at=ahead)], NOW).bars[-1].completed == 7


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))))
def test_pieces_stand_upon_each_other_within_the_plot(facts: list[tuple[int, int, int, int]]) -> None:
    this = NOW // MINUTE * MINUTE
    chart: Chart = hour(
        [
            Tally(queue="q", at=this - minute * MINUTE, completed=completed, retried=retried, failed=failed)
            for minute, completed, retried, failed in facts
        ],
        NOW,
    )
    for bar in chart.bars:
        bottom = float(HEIGHT)
        for piece in bar.pieces:
            assert 0 <= piece.top <= bottom
            assert piece.height > 0
            bottom = piece.top
