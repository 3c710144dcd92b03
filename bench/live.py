"""What is measured of streams: many open ones on one server, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from bench.measuring import SHARE, Facts, Measure, rounds, run, seconds
from bench.places import Place, PostgresPlaces, empty_file
from bench.store import Store, machine

Empty = Callable[[], AbstractContextManager[Place]]

SETTINGS = (
    "one uvicorn process; clients over sockets of the same machine, in one other process that plays the worker too"
)


def alone(empty: Empty, verb: str, *arguments: object) -> Facts:
    """In an empty place."""
    with empty() as place:
        return run("live", place, verb, *arguments)


def number(count: int) -> int:
    """That many streams, or as many as are asked for."""
    return max(10, count // SHARE)


class Live:
    """The sections, on several stores side by side."""

    def __init__(self, places: Mapping[str, Empty]) -> None:
        self._places = places

    def clients(self) -> dict[str, Facts]:
        """All jobs end at once: when does everybody know?"""
        sides: dict[str, Measure] = {}
        for name, empty in self._places.items():
            for jobs in (1, 1_000):
                side = partial(alone, empty, "clients", number(1_000), min(jobs, number(jobs)))
                sides[f"stoker, {name}, 1,000 clients on {jobs:,} job{'s' * (jobs > 1)}"] = side
        return rounds(sides)

    def streams(self) -> dict[str, Facts]:
        """Streams that stay open while nothing happens, and while 100 jobs a second report progress."""
        sides: dict[str, Measure] = {}
        for name, empty in self._places.items():
            for streams, jobs in ((10, 10), (1_000, 1_000), (10_000, 1_000), (10_000, 10_000)):
                for changes, words in ((0, "nothing happens"), (100, "100 changes/s")):
                    side = partial(alone, empty, "streams", number(streams), number(jobs), changes, seconds(10))
                    sides[f"stoker, {name}, {streams:,} streams on {jobs:,} jobs, {words}"] = side
        return rounds(sides)


@contextmanager
def opened() -> Iterator[Store]:
    """Streams, to be measured."""
    postgres = PostgresPlaces()
    try:
        live = Live({"SQLite": partial(empty_file, "normal"), "PostgreSQL": postgres.empty})
        facts = {"sqlite": sqlite3.sqlite_version, "postgresql": postgres.version}
        sections = {section.__name__: section for section in (live.clients, live.streams)}
        yield Store("Live streams", machine(facts, "starlette", "uvicorn", settings=SETTINGS), sections)
    finally:
        postgres.close()
