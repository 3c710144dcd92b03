"""The steps of a workflow as they are drawn: many that are alike become one, so that a wide batch stays readable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from stoker.web.dashboard.graph import Edge, Ranked

ALIKE: Final = (24, 6, 1)
"""So many steps that are alike stand for themselves; where even so there are too many to be drawn, the next number."""
MOST: Final = 250
"""Steps in one drawing."""


class Member(NamedTuple):
    """A step as far as folding is concerned."""

    id: str
    kind: str
    parents: Sequence[str]


class Folded(NamedTuple):
    """Groups of steps, by their numbers among all, and edges between groups."""

    groups: tuple[tuple[int, ...], ...]
    edges: tuple[Edge, ...]


def fold(members: Sequence[Member]) -> Folded | None:
    """The steps to be drawn, or None where nothing makes them few enough.

    Two steps are alike if they are of one kind, and what comes before them is alike, and what comes after them is.
    """
    numbers = {member.id: number for number, member in enumerate(members)}
    known = [(numbers[id], child) for child, member in enumerate(members) for id in member.parents if id in numbers]
    ranked = Ranked(len(members), known)
    colours = _colours(members, ranked)
    for alike in ALIKE:
        groups = _groups(colours, alike)
        if len(groups) <= MOST:
            return Folded(groups, _between(groups, ranked.edges))
    return None


def _colours(members: Sequence[Member], ranked: Ranked) -> list[Edge]:
    """A pair of numbers for each step, equal for those that are alike: of what comes before, of what comes after."""
    before: list[list[int]] = [[] for _ in members]
    behind: list[list[int]] = [[] for _ in members]
    for source, target in ranked.edges:
        before[target].append(source)
        behind[source].append(target)
    downward = _coloured(members, ranked.order, before)
    upward = _coloured(members, ranked.order[::-1], behind)
    return list(zip(downward, upward, strict=True))


def _coloured(members: Sequence[Member], order: Sequence[int], links: Sequence[Sequence[int]]) -> list[int]:
    colours = [0] * len(members)
    known: dict[tuple[str, tuple[int, ...]], int] = {}
    for step in order:
        sight = (members[step].kind, tuple(sorted({colours[other] for other in links[step]})))
        colours[step] = known.setdefault(sight, len(known))
    return colours


def _groups(colours: Sequence[Edge], alike: int) -> tuple[tuple[int, ...], ...]:
    by_colour: dict[Edge, list[int]] = {}
    for step, colour in enumerate(colours):
        by_colour.setdefault(colour, []).append(step)
    groups: list[tuple[int, ...]] = []
    for steps in by_colour.values():
        groups += [tuple(steps)] if len(steps) > alike else [(step,) for step in steps]
    return tuple(sorted(groups))


def _between(groups: Sequence[Sequence[int]], edges: Sequence[Edge]) -> tuple[Edge, ...]:
    group_of = {step: number for number, group in enumerate(groups) for step in group}
    return tuple(dict.fromkeys((group_of[source], group_of[target]) for source, target in edges))
