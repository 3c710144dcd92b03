"""What is measured of the Redis store: beside bare redis-py, taskiq, Dramatiq and Celery, without persistence.

Stoker is also measured on a server that writes what it does to its log, and syncs it every second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.measuring import Facts, Measure, jobs, rounds, run
from bench.on_server import SETTINGS, OnServer
from bench.places import RedisPlaces
from bench.rival import Rival
from bench.store import Store, machine

RIVALS = (
    Rival("taskiq, list", "taskiq", 10_000, "list", together=True),
    Rival("taskiq, stream", "taskiq", 10_000, "stream", together=True),
    Rival("taskiq, stream and results", "taskiq", 5_000, "stream, results", enqueues=False),
    Rival("Dramatiq", "dramatiq", 10_000),
    Rival("Celery", "celery", 5_000),
)
DURABILITY = "no persistence (everysec: appendonly yes, appendfsync everysec)"
EVERYSEC = {"appendonly": "yes", "appendfsync": "everysec"}
BACKGROUNDS = {
    "empty": ("queued", 0),
    "1M queued": ("queued", 1_000_000),
    "1M scheduled": ("scheduled", 1_000_000),
    "5M finished": ("completed", 5_000_000),
}
PLANTED = 1_000_000
"""Jobs that one process plants; more would take it longer than a side may."""


class OnRedis:
    """The sections that are measured on two servers, or otherwise than elsewhere."""

    def __init__(self, places: RedisPlaces, logged: RedisPlaces) -> None:
        self._places = places
        self._common = OnServer(places.empty, "raw_redis", RIVALS)
        self._logged = OnServer(logged.empty, "raw_redis", ())

    def drain(self) -> dict[str, Facts]:
        return rounds(self._common.drains() | _everysec(self._logged.drains()))

    def enqueue(self) -> dict[str, Facts]:
        return rounds(self._common.enqueues() | _everysec(self._logged.enqueues()))

    def latency(self) -> dict[str, Facts]:
        return self._common.latency()

    def memory(self) -> dict[str, Facts]:
        return self._common.memory()

    def idle(self) -> dict[str, Facts]:
        return self._common.idle()

    def flow(self) -> dict[str, Facts]:
        return self._common.flow()

    def scale(self) -> dict[str, Facts]:
        """The same drain on an empty server and beside many queued, scheduled and finished jobs, all in its memory."""
        taken: dict[str, float] = {}
        sides: dict[str, Measure] = {}
        with self._places.several(len(BACKGROUNDS)) as several:
            for place, (name, (state, count)) in zip(several, BACKGROUNDS.items(), strict=True):
                before = self._places.memory_mb
                for start in range(0, count, PLANTED):
                    run("scale", place, "plant", state, jobs(min(PLANTED, count - start)))
                taken[name] = self._places.memory_mb - before
                sides[name] = partial(run, "scale", place, "drain", jobs(50_000))
            found = rounds(sides)
        return {name: {**facts, "memory_mb": taken[name]} for name, facts in found.items()}


def _everysec(sides: dict[str, Measure]) -> dict[str, Measure]:
    return {f"{name}, everysec": measure for name, measure in sides.items() if name.startswith("stoker")}


@contextmanager
def opened() -> Iterator[Store]:
    """The store, to be measured, on servers of its own."""
    places, logged = RedisPlaces(), RedisPlaces(**EVERYSEC)
    try:
        own = OnRedis(places, logged)
        facts = {"redis": places.version, "durability": DURABILITY}
        sections = (own.drain, own.enqueue, own.latency, own.memory, own.idle, own.flow, own.scale)
        yield Store(
            "Redis",
            machine(facts, "redis", "hiredis", "taskiq", "taskiq-redis", "dramatiq", "celery", settings=SETTINGS),
            {section.__name__: section for section in sections},
        )
    finally:
        places.close()
        logged.close()
