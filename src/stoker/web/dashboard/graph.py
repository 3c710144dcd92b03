"""Where the steps of a workflow stand when it is drawn: in layers from left to right. Pure, and always the same.

Layers by the longest path, so every edge goes forward. An edge that passes layers has a dummy in each of them, so that
it bends around what stands there. Within layers, the order has few crossings (barycentres, a few sweeps), and heights
are the nearest to those of the neighbours that keep the order and a gap (least squares).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

WIDTH: Final = 220
HEIGHT: Final = 64
"""Of a step, in pixels."""
SPACE: Final = 84
"""Between two layers."""
GAP: Final = 20
"""Between two steps of a layer."""
LANE: Final = 8
"""What an edge has for itself where it passes a layer."""
MOST_DUMMIES: Final = 4_000
"""Edges that would need more go straight through."""
_SWEEPS: Final = 6

Edge = tuple[int, int]


class Spot(NamedTuple):
    """The left upper corner of a step."""

    x: int
    y: int


class Curve(NamedTuple):
    """An edge between two steps, and the points that it goes through: out of one, along lanes, into the other."""

    source: int
    target: int
    points: tuple[Spot, ...]

    @property
    def path(self) -> str:
        """As SVG draws it: curves between layers, straight along lanes."""
        first, *rest = self.points
        parts = [f"M{first.x} {first.y}"]
        before = first
        for number, point in enumerate(rest):
            if number % 2:
                parts.append(f"H{point.x}")
            else:
                middle = (before.x + point.x) // 2
                parts.append(f"C{middle} {before.y} {middle} {point.y} {point.x} {point.y}")
            before = point
        return "".join(parts)


class Layout(NamedTuple):
    """A drawing of steps that are numbered from 0."""

    width: int
    height: int
    spots: tuple[Spot, ...]
    curves: tuple[Curve, ...]


def layout(count: int, edges: Iterable[Edge]) -> Layout:
    """Draw so many steps, with edges from those that come first to those that wait for them."""
    ranked = Ranked(count, edges)
    tissue = _Tissue(ranked)
    tissue.uncross()
    tissue.settle()
    return tissue.drawn()


class Ranked:
    """Steps with their layers: each is one behind the last of those that it waits for.

    An edge that would close a circle, which no workflow has, is left out; so are those named twice.
    """

    def __init__(self, count: int, edges: Iterable[Edge]) -> None:
        self.edges: list[Edge] = []
        """in the order of their first step"""
        self.order: list[int] = []
        """each behind what it waits for"""
        self.rank = [0] * count
        children: list[list[int]] = [[] for _ in range(count)]
        awaited = [0] * count
        for source, target in dict.fromkeys(edges):
            children[source].append(target)
            awaited[target] += 1
        self._place(children, awaited)
        self._draw_near(children)

    def _place(self, children: Sequence[Sequence[int]], awaited: list[int]) -> None:
        placed = [False] * len(children)
        ready = deque(step for step, number in enumerate(awaited) if not number)
        rest = iter(range(len(children)))
        while len(self.order) < len(children):
            step = ready.popleft() if ready else next(one for one in rest if not placed[one])  # a circle: cut it
            placed[step] = True
            self.order.append(step)
            for child in children[step]:
                if placed[child]:
                    continue
                self.edges.append((step, child))
                self.rank[child] = max(self.rank[child], self.rank[step] + 1)
                awaited[child] -= 1
                if not awaited[child]:
                    ready.append(child)

    def _draw_near(self, children: Sequence[Sequence[int]]) -> None:
        """Those that wait for nothing stand right before the first that waits for them."""
        followed: dict[int, int] = {}
        waits = set()
        for source, target in self.edges:
            followed[source] = min(followed.get(source, len(children)), self.rank[target])
            waits.add(target)
        for step, first in followed.items():
            if step not in waits:
                self.rank[step] = first - 1


class _Tissue:
    """Layers of threads: steps, and dummies of edges that pass; every link goes from one layer to the next."""

    def __init__(self, ranked: Ranked) -> None:
        self._count = len(ranked.rank)
        self._rank = list(ranked.rank)
        self._before: list[list[int]] = [[] for _ in self._rank]
        self._behind: list[list[int]] = [[] for _ in self._rank]
        self._runs = [self._run(edge) for edge in ranked.edges]
        self._layers: list[list[int]] = [[] for _ in range(max(self._rank, default=-1) + 1)]
        for thread in self._wandered():
            self._layers[self._rank[thread]].append(thread)
        self._heights = [0.0] * len(self._rank)

    def _run(self, edge: Edge) -> list[int]:
        """The threads of an edge, from step to step."""
        source, target = edge
        between = range(self._rank[source] + 1, self._rank[target])
        if len(self._rank) - self._count + len(between) > MOST_DUMMIES:
            return [source, target]
        run = [source]
        for rank in between:
            run.append(len(self._rank))
            self._rank.append(rank)
            self._before.append([])
            self._behind.append([])
        run.append(target)
        for one, next_one in pairwise(run):
            self._behind[one].append(next_one)
            self._before[next_one].append(one)
        return run

    def _wandered(self) -> Iterator[int]:
        """All threads, those together that hang together."""
        seen = [False] * len(self._rank)
        for root in range(len(self._rank)):
            waiting = [] if self._before[root] else [root]
            while waiting:
                thread = waiting.pop()
                if not seen[thread]:
                    seen[thread] = True
                    yield thread
                    waiting.extend(reversed(self._behind[thread]))

    # --- order ------------------------------------------------------------------------------------------------------

    def uncross(self) -> None:
        """Put each layer into an order in which few links cross: the best of a few sweeps."""
        best, fewest = self._layers, self._crossings()
        for sweep in range(_SWEEPS):
            if not fewest:
                break
            self._sweep(backward=bool(sweep % 2))
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = self._layers, crossings
        self._layers = best

    def _sweep(self, *, backward: bool) -> None:
        layers = [list(layer) for layer in self._layers]
        links = self._behind if backward else self._before
        places = _places(layers)
        for layer in reversed(layers) if backward else layers:
            centres = {thread: _mean([places[other] for other in links[thread]], places[thread]) for thread in layer}
            layer.sort(key=centres.__getitem__)
            places.update(_places([layer]))
        self._layers = layers

    def _crossings(self) -> int:
        places = _places(self._layers)
        return sum(
            _inversions([place for thread in layer for place in sorted(places[o] for o in self._behind[thread])])
            for layer in self._layers
        )

    # --- heights ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Give each thread the height that its neighbours pull it to, as far as the order and the gaps let it."""
        for layer in self._layers:
            self._spread(layer, [0.0] * len(layer), [1.0] * len(layer))
        for sweep in range(_SWEEPS):
            backward = bool(sweep % 2)
            for layer in reversed(self._layers) if backward else self._layers:
                self._pull(layer, self._behind if backward else self._before)
        for layer in self._layers:
            self._pull(layer, [one + other for one, other in zip(self._before, self._behind, strict=True)])

    def _pull(self, layer: Sequence[int], links: Sequence[Sequence[int]]) -> None:
        wanted = []
        for thread in layer:
            forces = [self._force(thread, other) for other in links[thread]]
            pulled = sum(force * self._heights[other] for force, other in zip(forces, links[thread], strict=True))
            wanted.append(pulled / sum(forces) if forces else self._heights[thread])
        self._spread(layer, wanted, [1.0 if links[thread] else 0.01 for thread in layer])

    def _force(self, one: int, other: int) -> float:
        """How much a link is to be straight: most of all where an edge passes."""
        return (1.0, 2.0, 8.0)[(one >= self._count) + (other >= self._count)]

    def _spread(self, layer: Sequence[int], wanted: Sequence[float], weights: Sequence[float]) -> None:
        offsets = [0.0] if layer else []
        for one, other in pairwise(layer):
            offsets.append(offsets[-1] + self._half(one) + GAP + self._half(other))
        rising = _rising([want - offset for want, offset in zip(wanted, offsets, strict=True)], weights)
        for thread, height, offset in zip(layer, rising, offsets, strict=True):
            self._heights[thread] = height + offset

    def _half(self, thread: int) -> float:
        return (HEIGHT if thread < self._count else LANE) / 2

    # --- drawing ----------------------------------------------------------------------------------------------------

    def drawn(self) -> Layout:
        """What came of it, in whole pixels from the left upper corner."""
        if not self._count:
            return Layout(0, 0, (), ())
        top = min(height - self._half(thread) for thread, height in enumerate(self._heights))
        bottom = max(height + self._half(thread) for thread, height in enumerate(self._heights))
        middles = [round(height - top) for height in self._heights]
        lefts = [rank * (WIDTH + SPACE) for rank in self._rank]
        spots = tuple(Spot(lefts[step], middles[step] - HEIGHT // 2) for step in range(self._count))
        curves = tuple(_curve(run, lefts, middles) for run in self._runs)
        return Layout(max(lefts) + WIDTH, round(bottom - top), spots, curves)


def _curve(run: Sequence[int], lefts: Sequence[int], middles: Sequence[int]) -> Curve:
    first, *between, last = run
    points = [Spot(lefts[first] + WIDTH, middles[first])]
    for lane in between:
        points += [Spot(lefts[lane], middles[lane]), Spot(lefts[lane] + WIDTH, middles[lane])]
    points.append(Spot(lefts[last], middles[last]))
    return Curve(first, last, tuple(points))


def _places(layers: Iterable[Sequence[int]]) -> dict[int, int]:
    return {thread: place for layer in layers for place, thread in enumerate(layer)}


def _mean(values: Sequence[float], other: float) -> float:
    return sum(values) / len(values) if values else other


def _inversions(places: Sequence[int]) -> int:
    """How many pairs stand the wrong way round (a Fenwick tree counts them)."""
    tree = [0] * (max(places, default=0) + 2)
    total = 0
    for seen, place in enumerate(places):
        total += seen
        at = place + 1
        while at > 0:
            total -= tree[at]
            at -= at & -at
        at = place + 1
        while at < len(tree):
            tree[at] += 1
            at += at & -at
    return total


def _rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nearest numbers, by weighted least squares, that never fall (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []  # weighted sum, weight, how many
    for value, weight in zip(values, weights, strict=True):
        pool = (value * weight, weight, 1)
        while pools and pools[-1][0] * pool[1] > pool[0] * pools[-1][1]:
            last = pools.pop()
            pool = (last[0] + pool[0], last[1] + pool[1], last[2] + pool[2])
        pools.append(pool)
    return [total / weight for total, weight, many in pools for _ in range(many)]
