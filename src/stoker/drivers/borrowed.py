"""Runs plans in the caller's own transaction. It never begins, commits or rolls back: those are the caller's.

Known are connections of `sqlite3`, psycopg, asyncpg and Django, and SQLAlchemy's connections and sessions, sync and
async. What a library gives is told by its classes, without importing it: who passes one has imported it already.

Statements for PostgreSQL name their parameters as psycopg does, `%(name)s`; asyncpg counts them.
"""

from __future__ import annotations

import inspect
import re
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping
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
    for library, understand in _LIBRARIES.items():
        if library in sys.modules:
            found = understand(connection)
            if found is not None:
                return found
    kind = type(connection)
    raise ConfigError(
        f"connection= takes a sqlite3 connection, one of psycopg, asyncpg or Django, or a connection or session of "
        f"SQLAlchemy (sync or async), not {kind.__module__}.{kind.__qualname__}"
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
    text, params = statement.text, cast(Any, statement.params)
    if statement.many:
        params = list(params)
    elif not isinstance(params, dict):
        params = tuple(params)
    elif connection.dialect.paramstyle == "numeric_dollar":
        text, params = _counted(text, params)
    result = connection.exec_driver_sql(text, params)
    if result.returns_rows:
        return Reply([tuple(row) for row in result.fetchall()], -1)
    return Reply([], result.rowcount)


def _psycopg(connection: Any) -> Borrowed | AsyncBorrowed | None:
    import psycopg
    from psycopg.rows import tuple_row

    match connection:
        case psycopg.Connection():

            def execute(statement: Statement) -> Reply:
                # Of the library's own kind: the caller's factories are for the caller's rows.
                with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
                    cursor.execute(statement.text.encode(), statement.params or None)
                    return Reply(cursor.fetchall() if cursor.description else [], cursor.rowcount)

            return Borrowed(execute)
        case psycopg.AsyncConnection():

            async def aexecute(statement: Statement) -> Reply:
                async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
                    await cursor.execute(statement.text.encode(), statement.params or None)
                    return Reply(await cursor.fetchall() if cursor.description else [], cursor.rowcount)

            return AsyncBorrowed(aexecute)
    return None


def _asyncpg(connection: Any) -> AsyncBorrowed | None:
    from asyncpg import Connection  # type: ignore[import-untyped]
    from asyncpg.pool import PoolConnectionProxy  # type: ignore[import-untyped]

    if not isinstance(connection, Connection | PoolConnectionProxy):
        return None

    async def execute(statement: Statement) -> Reply:
        text, params = _counted(statement.text, cast(Mapping[str, Any], statement.params or {}))
        return Reply([tuple(row) for row in await connection.fetch(text, *params)], -1)

    return AsyncBorrowed(execute)


def _django(connection: Any) -> Borrowed | None:
    from django.db.backends.base.base import BaseDatabaseWrapper  # type: ignore[import-untyped]
    from django.utils.connection import ConnectionProxy  # type: ignore[import-untyped]

    if not isinstance(connection, BaseDatabaseWrapper | ConnectionProxy):
        return None
    if connection.vendor != "postgresql":
        raise ConfigError(f"connection= takes a connection of Django to PostgreSQL, not to {connection.vendor}")

    def execute(statement: Statement) -> Reply:
        with connection.cursor() as cursor:
            cursor.execute(statement.text, statement.params or None)
            return Reply([tuple(row) for row in cursor.fetchall()] if cursor.description else [], cursor.rowcount)

    return Borrowed(execute)


_LIBRARIES = {"sqlalchemy": _sqlalchemy, "psycopg": _psycopg, "asyncpg": _asyncpg, "django.db": _django}

_NAME = re.compile(r"%\((\w+)\)s")


def _counted(text: str, params: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The statement with its parameters counted, `$1`, and their values in that order."""
    names = list(dict.fromkeys(_NAME.findall(text)))
    return _NAME.sub(lambda name: f"${names.index(name[1]) + 1}", text), tuple(params[name] for name in names)
