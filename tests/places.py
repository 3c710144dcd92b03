"""Where tests keep jobs: every store by name, each time at a fresh place.

The servers are private to the test process: each is started when a test first asks for it, and ends with the process.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from servers import PostgresServer, RedisCluster, RedisServer
from servers.process import ServerMissing

STORES = ("memory", "sqlite-normal", "sqlite-full", "postgres", "redis", "redis-cluster")

_numbers = itertools.count(1)
_started: list[Any] = []


def started(make: Callable[[], Any]) -> Any:
    """The server, running. Where its programs are missing the test is skipped, but not under CI."""
    for last in (False, False, True):
        try:
            server = make()
        except ServerMissing as missing:
            if "CI" in os.environ:
                raise
            pytest.skip(str(missing))
        _started.append(server)
        try:
            return server.start()
        except RuntimeError:  # it ended: somebody took the port between its choice and its use
            if last:
                raise
            _started.pop().close()
    raise AssertionError("the last try returns or raises")


@cache
def postgres() -> PostgresServer:
    return started(PostgresServer)


@cache
def redis() -> RedisServer:
    return started(RedisServer)


@cache
def cluster() -> RedisCluster:
    made = started(RedisCluster)
    for node in made.nodes:  # on a busy machine a node may be silent for long, and is not gone
        node.cli("CONFIG", "SET", "cluster-node-timeout", "60000")
    return made


@contextmanager
def nobody() -> Iterator[int]:
    """A port of this machine at which nobody answers: it is held, so that no other process listens there meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def close_all() -> None:
    """End every server that was started."""
    while _started:
        _started.pop().close()


@contextmanager
def fresh(store: str, folder: Path) -> Iterator[str]:
    """The URL of an empty place of that store; what it leaves on a server is removed."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    match store:
        case "memory":
            yield "memory://"
        case "sqlite-normal" | "sqlite-full":
            yield f"sqlite:///{folder}/jobs.db?synchronous={store.removeprefix('sqlite-')}"
        case "postgres":
            try:
                yield f"{postgres().url}?schema={name}"
            finally:
                drop_schema(postgres(), name)
        case "redis":
            yield f"{redis().url}?prefix={name}"
        case "redis-cluster":
            yield f"{cluster().url}?prefix={name}"
        case _:
            raise LookupError(f"there is no store {store}; there are {', '.join(STORES)}")


def drop_schema(server: PostgresServer, name: str) -> None:
    """Remove a schema with everything in it, whoever is still connected."""
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        for last in (False,) * 9 + (True,):
            try:
                connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')  # type: ignore[arg-type]
                return
            except psycopg.errors.DeadlockDetected:  # with a process that a test killed, and that has not heard yet
                if last:
                    raise
