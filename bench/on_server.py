"""The sections that PostgreSQL and Redis have in common: Stoker, a bare connection, and the peers, on one server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from bench.flow import flow as flow_of
from bench.measuring import Facts, Measure, jobs, rounds, run, seconds
from bench.places import Place
from bench.rival import Rival

Empty = Callable[[], AbstractContextManager[Place]]
"""Gives an empty place for the time of a `with`."""

SETTINGS = "no-op task with an int and a str, async where the system knows it"


class OnServer:
    """The sections of a store on a server."""

    def __init__(self, empty: Empty, raw: str, rivals: Sequence[Rival]) -> None:
        self._empty = empty
        self._raw = raw
        self._rivals = rivals

    def alone(self, side: str, verb: str, *arguments: Any, variant: str = "") -> Facts:
        """A side in an empty place."""
        with self._empty() as place:
            return run(side, {**place, "BENCH_VARIANT": variant}, verb, *arguments)

    def drains(self) -> dict[str, Measure]:
        """A backlog, done by worker processes."""
        ours: dict[str, Measure] = {
            "stoker, 1 process": partial(self.alone, "fleet", "drain", jobs(50_000), 1),
            "stoker, 2 processes": partial(self.alone, "fleet", "drain", jobs(50_000), 2),
            "raw": partial(self.alone, self._raw, "drain", jobs(50_000)),
        }
        return ours | {
            rival.name: partial(self.alone, rival.side, "drain", jobs(rival.jobs), variant=rival.variant)
            for rival in self._rivals
        }

    def drain(self) -> dict[str, Facts]:
        return rounds(self.drains())

    def enqueues(self) -> dict[str, Measure]:
        """Jobs that nobody does yet."""
        sides: dict[str, Measure] = {
            "stoker, one by one": partial(self.alone, "stoker", "enqueue_one", jobs(3_000)),
            "stoker, 100 coroutines": partial(self.alone, "stoker", "enqueue_many_at_once", jobs(20_000)),
            "stoker, bulk": partial(self.alone, "stoker", "enqueue_bulk", jobs(50_000)),
            "raw, one by one": partial(self.alone, self._raw, "enqueue_one", jobs(3_000)),
            "raw, bulk": partial(self.alone, self._raw, "enqueue_bulk", jobs(50_000)),
        }
        for rival in self._rivals:
            ways = {
                "one by one": ("enqueue_one", 1_000, rival.enqueues),
                "100 coroutines": ("enqueue_many_at_once", 3_000, rival.together),
                "bulk": ("enqueue_bulk", 20_000, rival.bulk),
            }
            for way, (verb, number, possible) in ways.items():
                if possible:
                    sides[f"{rival.name}, {way}"] = partial(
                        self.alone, rival.side, verb, jobs(number), variant=rival.variant
                    )
        return sides

    def enqueue(self) -> dict[str, Facts]:
        return rounds(self.enqueues())

    def latency(self) -> dict[str, Facts]:
        """From enqueue to the first line of the task in another process."""
        sides: dict[str, Measure] = {"stoker": partial(self.alone, "fleet", "latency", 200)}
        for rival in self._rivals:
            if rival.enqueues:
                sides[rival.name] = partial(self.alone, rival.side, "latency", 100, variant=rival.variant)
        return rounds(sides)

    def memory(self) -> dict[str, Facts]:
        return rounds({"stoker": partial(self.alone, "stoker", "memory", jobs(400_000))}, 1)

    def idle(self) -> dict[str, Facts]:
        return rounds({"stoker": partial(self.alone, "fleet", "idle", seconds(20))}, 1)

    def flow(self) -> dict[str, Facts]:
        """Workflows, limits and schedules."""
        return flow_of(self.alone)
