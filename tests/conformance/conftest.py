"""The conformance suite over every store that Stoker brings along, from sync code and from an event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.register_assert_rewrite("stoker.testing.conformance")

from stoker.drivers.memory import MemoryDriver  # noqa: E402
from stoker.drivers.sqlite import SqliteDriver  # noqa: E402
from stoker.plan import Plan, Reply, Statement, pump  # noqa: E402
from stoker.stores.memory import MemoryStore  # noqa: E402
from stoker.stores.sqlite import SqliteStore  # noqa: E402
from stoker.testing.conformance.rig import Borrowed, Rig  # noqa: E402

STORES = ("memory", "sqlite-normal", "sqlite-full")


@pytest.fixture(params=[f"{store}-{colour}" for store in STORES for colour in ("sync", "async")])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    store, _, colour = request.param.rpartition("-")
    if store == "memory":
        made = Rig(MemoryStore, MemoryDriver(), colour=colour)
    else:
        path = str(tmp_path / "jobs.db")
        driver = SqliteDriver(path, synchronous=store.removeprefix("sqlite-"))
        made = Rig(SqliteStore, driver, colour=colour, borrow=lambda: borrowed(path))
    with made.opened():
        yield made


@contextmanager
def borrowed(path: str) -> Iterator[Borrowed]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield OwnTransaction(connection)
    finally:
        connection.close()


class OwnTransaction:
    """The caller's own transaction on a plain `sqlite3` connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, plan: Plan):
        return pump(plan, self._execute)

    def _execute(self, statement: Statement) -> Reply:
        run = self._connection.executemany if statement.many else self._connection.execute
        cursor = run(statement.text, statement.params)
        return Reply(cursor.fetchall() if cursor.description else [], cursor.rowcount)

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        self._connection.execute("ROLLBACK")
