"""What is measured of the PostgreSQL store: beside bare psycopg, PgQueuer and Procrastinate, with fsync."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import psycopg

from bench.background_postgres import BACKGROUNDS, CROWDED, prepare
from bench.measuring import Facts, jobs, rounds, run
from bench.on_server import SETTINGS, OnServer
from bench.places import Place, PostgresPlaces
from bench.rival import Rival
from bench.store import Store, machine
from bench.web import web as web_of

RIVALS = (
    Rival("PgQueuer", "pgqueuer", 30_000, bulk=True, together=True),
    Rival("Procrastinate", "procrastinate", 3_000, bulk=True, together=True),
)
DURABILITY = "fsync and synchronous_commit on, the rest as PostgreSQL comes"
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class"


class OnPostgres:
    """The sections that only this store has, or has otherwise."""

    def __init__(self, places: PostgresPlaces) -> None:
        self._places = places

    def scale(self) -> dict[str, Facts]:
        """The same drain in an empty database and beside many queued, scheduled and finished jobs."""
        prepared: dict[str, Place] = {}
        try:
            for name, background in BACKGROUNDS.items():
                prepared[name] = prepare(self._places, background)
            self._places.sql("CHECKPOINT")
            return rounds(
                {name: partial(run, "scale", place, "drain", jobs(50_000)) for name, place in prepared.items()}
            )
        finally:
            for place in prepared.values():
                self._places.drop(place)

    def web(self) -> dict[str, Facts]:
        """The dashboard over many jobs, and what watching costs the workers."""
        place = prepare(self._places, CROWDED)
        try:
            self._places.sql("CHECKPOINT")
            return web_of(place)
        finally:
            self._places.drop(place)

    def open_transaction(self) -> dict[str, Facts]:
        """A drain while somebody's transaction, begun before the first enqueue, lets no dead row be removed."""
        found = rounds({"none": partial(self._drain, held=False), "held open": partial(self._drain, held=True)})
        found["held open"]["ratio"] = found["held open"]["per_second"] / found["none"]["per_second"]
        return found

    def _drain(self, *, held: bool) -> Facts:
        with self._places.empty() as place, self._held(place) if held else nullcontext():
            return run("fleet", place, "drain", jobs(100_000), 1)

    @contextmanager
    def _held(self, place: Place) -> Iterator[None]:
        with psycopg.connect(place["BENCH_URL"], autocommit=True) as connection:
            connection.execute(SNAPSHOT)
            yield
            connection.execute("ROLLBACK")


@contextmanager
def opened() -> Iterator[Store]:
    """The store, to be measured, on a server of its own."""
    places = PostgresPlaces()
    try:
        common, own = OnServer(places.empty, "raw_postgres", RIVALS), OnPostgres(places)
        facts = {"postgresql": places.version, "durability": DURABILITY}
        sections = (
            common.drain,
            common.enqueue,
            common.latency,
            common.memory,
            common.idle,
            common.flow,
            own.scale,
            own.web,
            own.open_transaction,
        )
        yield Store(
            "PostgreSQL",
            machine(facts, "psycopg", "pgqueuer", "asyncpg", "procrastinate", settings=SETTINGS),
            {section.__name__: section for section in sections},
        )
    finally:
        places.close()
