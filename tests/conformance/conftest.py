"""The conformance suite over every store that Stoker brings along, from sync code and from an event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

import places

pytest.register_assert_rewrite("stoker.testing.conformance")

from stoker.connect import connect  # noqa: E402
from stoker.plan import Plan, Reply, Statement, pump  # noqa: E402
from stoker.testing.conformance.rig import Borrowed, Rig  # noqa: E402


@pytest.fixture(params=[f"{store}-{colour}" for store in places.STORES for colour in ("sync", "async")])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    store, _, colour = request.param.rpartition("-")
    with places.fresh(store, tmp_path) as url:
        driver = connect(url).driver
        made = Rig(lambda clock: connect(url, clock).store, driver, colour=colour, borrow=borrower(store, driver.place))
        with made.opened():
            yield made


def borrower(store: str, place: str) -> Callable[[], AbstractContextManager[Borrowed]] | None:
    """How to open the caller's own transaction, on a store that takes one."""
    if store.startswith("sqlite"):
        return lambda: on_sqlite(place)
    if store == "postgres":
        return on_postgres
    return None


@contextmanager
def on_sqlite(path: str) -> Iterator[Borrowed]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield OwnTransaction(connection)
    finally:
        connection.close()


@contextmanager
def on_postgres() -> Iterator[Borrowed]:
    import psycopg

    from stoker.drivers.borrowed import borrow

    with psycopg.connect(places.postgres().url) as connection:
        yield Lent(connection, borrow(connection).run)


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


class Lent:
    """The caller's own transaction, through the product's own means to borrow it."""

    def __init__(self, connection, run) -> None:
        self.run = run
        self.commit = connection.commit
        self.rollback = connection.rollback
