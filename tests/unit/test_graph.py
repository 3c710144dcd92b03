"""Workflows as they are drawn: steps never cover each other, edges go forward, and many that are alike become one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.web.dashboard import folding, graph
from stoker.web.dashboard.folding import ALIKE, MOST, Member, fold
from stoker.web.dashboard.graph import GAP, HEIGHT, SPACE, WIDTH, Layout, layout


@st.composite
def workflows(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """Steps, each behind some of those before it; numbered so that the order of numbers says nothing."""
    count = draw(st.integers(1, 24))
    names = draw(st.permutations(range(count)))
    edges = []
    for child in range(1, count):
        parents = draw(st.lists(st.integers(0, child - 1), max_size=4, unique=True))
        edges += [(names[parent], names[child]) for parent in parents]
    return count, draw(st.permutations(edges))


def overlapping(drawn: Layout) -> list[tuple[int, int]]:
    return [
        (one, other)
        for one, a in enumerate(drawn.spots)
        for other, b in enumerate(drawn.spots[:one])
        if abs(a.x - b.x) < WIDTH and abs(a.y - b.y) < HEIGHT
    ]


@given(workflows())
@settings(max_examples=300, deadline=None)
def test_every_edge_goes_forward_and_no_two_steps_overlap(workflow):
    count, edges = workflow
    drawn = layout(count, edges)
    assert overlapping(drawn) == []
    assert {(curve.source, curve.target) for curve in drawn.curves} == set(edges)
    for curve in drawn.curves:
        source, target = drawn.spots[curve.source], drawn.spots[curve.target]
        assert target.x >= source.x + WIDTH + SPACE
        assert all(one.x < other.x for one, other in pairwise(curve.points))
        assert curve.points[0] == (source.x + WIDTH, source.y + HEIGHT // 2)
        assert curve.points[-1] == (target.x, target.y + HEIGHT // 2)


@given(workflows())
@settings(max_examples=100, deadline=None)
def test_an_edge_bends_around_the_steps_that_it_passes(workflow):
    drawn = layout(*workflow)
    for curve in drawn.curves:
        lanes = curve.points[1:-1]
        for entry, exit in zip(lanes[::2], lanes[1::2], strict=True):
            assert entry.y == exit.y
            assert exit.x == entry.x + WIDTH
            for spot in drawn.spots:
                assert spot.x != entry.x or not spot.y <= entry.y <= spot.y + HEIGHT


@given(workflows())
@settings(max_examples=100, deadline=None)
def test_everything_is_inside_the_drawing_and_always_at_the_same_place(workflow):
    drawn = layout(*workflow)
    assert drawn == layout(*workflow)
    assert all(0 <= spot.x <= drawn.width - WIDTH and 0 <= spot.y <= drawn.height - HEIGHT for spot in drawn.spots)
    assert all(0 <= point.y <= drawn.height for curve in drawn.curves for point in curve.points)


def test_a_diamond():
    drawn = layout(4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    middle = (HEIGHT + GAP) // 2
    step = WIDTH + SPACE
    assert drawn.spots == ((0, middle), (step, 0), (step, HEIGHT + GAP), (2 * step, middle))
    assert drawn.width == 2 * step + WIDTH
    assert drawn.height == 2 * HEIGHT + GAP


def test_crossings_are_undone():
    drawn = layout(4, [(0, 3), (1, 2)])
    assert (drawn.spots[0].y < drawn.spots[1].y) == (drawn.spots[3].y < drawn.spots[2].y)


def test_a_step_without_parents_stands_before_the_first_that_waits_for_it():
    drawn = layout(5, [(0, 1), (1, 2), (2, 3), (4, 3)])
    assert drawn.spots[4].x == drawn.spots[2].x


def test_nothing_is_drawn_of_nothing():
    assert layout(0, []) == (0, 0, (), ())


def test_circles_and_repetitions_are_left_out():
    drawn = layout(3, [(0, 1), (0, 1), (1, 2), (2, 0), (1, 1)])
    assert [(curve.source, curve.target) for curve in drawn.curves] == [(0, 1), (1, 2)]


def test_a_path_is_a_curve_between_layers_and_straight_along_lanes():
    drawn = layout(3, [(0, 1), (1, 2), (0, 2)])
    [long] = [curve for curve in drawn.curves if (curve.source, curve.target) == (0, 2)]
    assert [part[0] for part in long.path.replace("C", "|C").replace("H", "|H").split("|")] == ["M", "C", "H", "C"]


def test_edges_that_would_need_too_many_dummies_go_straight(monkeypatch):
    monkeypatch.setattr(graph, "MOST_DUMMIES", 1)
    drawn = layout(4, [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)])
    assert sorted(len(curve.points) for curve in drawn.curves) == [2, 2, 2, 2, 4]


# --- folding ----------------------------------------------------------------------------------------------------------


def batch(width: int, depth: int = 1) -> list[Member]:
    """One step, then so many chains of so many steps side by side, then one."""
    chains = [
        Member(f"{chain}.{step}", f"resize{step}", (f"{chain}.{step - 1}" if step else "first",))
        for chain in range(width)
        for step in range(depth)
    ]
    last = Member("last", "notify", [f"{chain}.{depth - 1}" for chain in range(width)])
    return [Member("first", "fetch", ()), *chains, last]


def test_a_wide_batch_becomes_one_step():
    folded = fold(batch(10_000))
    assert folded is not None
    assert [len(group) for group in folded.groups] == [1, 10_000, 1]
    assert folded.edges == ((0, 1), (1, 2))


def test_chains_side_by_side_become_one_chain():
    folded = fold(batch(1000, depth=3))
    assert folded is not None
    assert [len(group) for group in folded.groups] == [1, 1000, 1000, 1000, 1]
    assert folded.edges == ((0, 1), (1, 2), (2, 3), (3, 4))


def test_few_stand_for_themselves():
    folded = fold(batch(ALIKE[0]))
    assert folded is not None
    assert {len(group) for group in folded.groups} == {1}
    assert len(folded.edges) == 2 * ALIKE[0]


@pytest.mark.parametrize(
    "odd", [Member("odd", "other", ("first",)), Member("odd", "resize0", ()), Member("odd", "resize0", ("0.0",))]
)
def test_one_that_is_not_like_the_others_is_not_folded_with_them(odd):
    members = batch(100)
    folded = fold([*members[:-1], odd, members[-1]])
    assert folded is not None
    [alone] = [group for group in folded.groups if len(members) - 1 in group]
    assert len(alone) == 1


def test_where_there_are_too_many_even_few_alike_are_folded():
    members = [
        Member(f"{group}.{step}", f"kind{group}", ()) for group in range(MOST // 2) for step in range(ALIKE[-2] + 1)
    ]
    folded = fold(members)
    assert folded is not None
    assert len(folded.groups) == MOST // 2


def test_what_cannot_be_made_small_is_not_drawn():
    assert fold([Member(str(step), str(step), ()) for step in range(MOST + 1)]) is None


def test_parents_that_are_gone_are_nobodys():
    folded = fold([Member("one", "a", ("gone",)), Member("two", "b", ("one",))])
    assert folded == (((0,), (1,)), ((0, 1),))


@given(workflows())
@settings(max_examples=200, deadline=None)
def test_what_is_folded_is_drawn_forward_with_every_edge(workflow):
    count, edges = workflow
    members = [Member(str(n), "same", [str(source) for source, target in edges if target == n]) for n in range(count)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "ALIKE", (1,))
        folded = folding.fold(members)
    assert folded is not None
    group_of = {step: number for number, group in enumerate(folded.groups) for step in group}
    assert sorted(group_of) == list(range(count))
    assert set(folded.edges) == {(group_of[source], group_of[target]) for source, target in edges}
    drawn = layout(len(folded.groups), folded.edges)
    assert {(curve.source, curve.target) for curve in drawn.curves} == set(folded.edges)
