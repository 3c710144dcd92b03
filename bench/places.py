"""Where jobs are measured: files and private servers, an empty place for each side.

A place is an environment for a side's process: `BENCH_URL`, and the pid of the server whose time it costs.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from servers import PostgresServer, RedisServer

Place = dict[str, str]


def file_place(path: str, synchronous: str) -> Place:
    """A SQLite file."""
    url = f"sqlite:///{path}?synchronous={synchronous}"
    return {"BENCH_URL": url, "BENCH_PATH": path, "BENCH_SYNCHRONOUS": synchronous}


@contextmanager
def empty_file(synchronous: str) -> Iterator[Place]:
    """A SQLite file of its own, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as folder:
        yield file_place(f"{folder}/bench.db", synchronous)


class PostgresPlaces:
    """A server with fsync, and otherwise as it comes; a database for each side."""

    def __init__(self) -> None:
        self._server = PostgresServer(durable=True).start()
        self._names = (f"bench_{number}" for number in itertools.count(1))

    @property
    def version(self) -> str:
        return self.sql("SHOW server_version").split()[0]

    @contextmanager
    def empty(self) -> Iterator[Place]:
        """An empty database. What the one before left to be written is written first."""
        place = self.create()
        try:
            self.sql("CHECKPOINT")
            yield place
        finally:
            self.drop(place)

    def create(self) -> Place:
        name = next(self._names)
        self.sql(f"CREATE DATABASE {name}")
        return {
            "BENCH_URL": self._server.database_url(name),
            "BENCH_DATABASE": name,
            "BENCH_SERVER": str(self._server.pid),
        }

    def drop(self, place: Place) -> None:
        self.sql(f"DROP DATABASE {place['BENCH_DATABASE']} WITH (FORCE)")

    def sql(self, text: str, place: Place | None = None) -> str:
        return self._server.sql(text, place["BENCH_DATABASE"] if place else "postgres")

    def close(self) -> None:
        self._server.close()


class RedisPlaces:
    """A server; its memory for each side in turn."""

    def __init__(self, **settings: Any) -> None:
        self._server = RedisServer(**settings).start()

    @property
    def version(self) -> str:
        return self._info("server", "redis_version")

    @contextmanager
    def empty(self) -> Iterator[Place]:
        """Everything is deleted before and after."""
        with self.several(1) as [place]:
            yield place

    @contextmanager
    def several(self, number: int) -> Iterator[list[Place]]:
        """As many empty places at once: the server's databases."""
        self._server.cli("FLUSHALL", "SYNC")
        server = self._server.url.rpartition("/")[0]
        try:
            yield [{"BENCH_URL": f"{server}/{n}", "BENCH_SERVER": str(self._server.pid)} for n in range(number)]
        finally:
            self._server.cli("FLUSHALL", "SYNC")

    @property
    def memory_mb(self) -> float:
        """What the server uses for its data."""
        return int(self._info("memory", "used_memory")) / 2**20

    def _info(self, section: str, name: str) -> str:
        lines = (line.partition(":") for line in self._server.cli("INFO", section).splitlines())
        return next(value for key, _, value in lines if key == name)

    def close(self) -> None:
        self._server.close()
