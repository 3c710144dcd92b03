"""Runs plans in the caller's own transaction. It never begins, commits or rolls back: those are the caller's.

Known are `sqlite3` connections and SQLAlchemy's connections and sessions, sync and async. What SQLAlchemy gives is told
by its classes, without importing it: who passes one has imported it already.
"""

from __future__ import annotations

import inspect
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from stoker.errors import ConfigError
from stoker.plan import Plan, Reply, Statement, apump, pump

T = TypeVar("T")


class Borrowed:
    """A connection of the caller's."""

    def __init__(self, execute: Callable[[Statement], Reply]) -> None:
        self._execute = execute

    def run(self, plan: Plan[T]) -> T:
        """Run the plan in the caller's transaction."""
        return pump(plan, self._execute)

    async def arun(self, plan: Plan[T]) -> T:
        """The same, from async code; a sync connection blocks the loop as it does in the caller's own calls."""
        return self.run(plan)


class AsyncBorrowed:
    """An async connection of the caller's."""

    def __init__(self, execute: Callable[[Statement], Awaitable[Reply]]) -> None:
        self._execute = execute

    def run(self, plan: Plan[T]) -> T:
        """Refuse: an async connection cannot be used from sync code."""
        raise ConfigError(f"{plan.name}: this connection is async: await aenqueue(…, connection=…)")

    async def arun(self, plan: Plan[T]) -> T:
        """Run the plan in the caller's transaction."""
        return await apump(plan, self._execute)


def borrow(connection: Any) -> Borrowed | AsyncBorrowed:
    """The means to run plans on a connection of the caller's. Raises `ConfigError` for a kind that is not known."""
    if isinstance(connection, sqlite3.Connection):
        return Borrowed(lambda statement: _on_sqlite3(connection, statement))
    if "sqlalchemy" in sys.modules:
        found = _sqlalchemy(connection)
        if found is not None:
            return found
    kind = type(connection)
    raise ConfigError(
        f"connection= takes a sqlite3 connection, or a connection or session of SQLAlchemy (sync or async), "
        f"not {kind.__module__}.{kind.__qualname__}"
    )


def _on_sqlite3(connection: sqlite3.Connection, statement: Statement) -> Reply:
    cursor = connection.cursor()
    cursor.row_factory = None  # the caller's factory is for the caller's rows
    run = cursor.executemany if statement.many else cursor.execute
    run(statement.text, statement.params)
    return Reply(cursor.fetchall() if cursor.description else [], cursor.rowcount)


def _sqlalchemy(connection: Any) -> Borrowed | AsyncBorrowed | None:
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

    match connection:
        case Connection():
            return Borrowed(lambda statement: _on_core(connection, statement))
        case Session() | scoped_session():
            return Borrowed(lambda statement: _on_core(connection.connection(), statement))
        case AsyncConnection():
            return AsyncBorrowed(lambda statement: connection.run_sync(_on_core, statement))
        case AsyncSession() | async_scoped_session():

            async def execute(statement: Statement) -> Reply:
                inner = connection.connection()
                core = await inner if inspect.isawaitable(inner) else inner
                return cast(Reply, await core.run_sync(_on_core, statement))

            return AsyncBorrowed(execute)
    return None


def _on_core(connection: Any, statement: Statement) -> Reply:
    """Through `exec_driver_sql`, so that SQLAlchemy knows that its transaction has begun."""
    params: Any = statement.params
    if statement.many:
        params = list(params)
    elif not isinstance(params, dict):
        params = tuple(params)
    result = connection.exec_driver_sql(statement.text, params)
    if result.returns_rows:
        return Reply([tuple(row) for row in result.fetchall()], -1)
    return Reply([], result.rowcount)
