"""Enqueuing inside the caller's own transaction on PostgreSQL, through every library that may hold one."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from django import setup
from django.conf import settings
from psycopg.rows import dict_row
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import places
from stoker import ConfigError, Stoker

WAIT = 30


@pytest.fixture
def place(make_place: Any) -> Any:
    return make_place("queue-postgres")


@pytest.fixture
def app(place: Any) -> Stoker:
    return place.app


@pytest.fixture
def double(app: Stoker) -> Any:
    @app.task(name="double")
    def double(n: int) -> int:
        return n * 2

    return double


@contextmanager
def plain() -> Iterator[tuple[Any, Any, Any]]:
    with psycopg.connect(places.postgres().url) as connection:
        yield connection, connection.commit, connection.rollback


@contextmanager
def with_rows_of_its_own() -> Iterator[tuple[Any, Any, Any]]:
    factories = {"row_factory": dict_row, "cursor_factory": psycopg.ClientCursor}
    with psycopg.connect(places.postgres().url, **factories) as connection:
        yield connection, connection.commit, connection.rollback


@contextmanager
def core() -> Iterator[tuple[Any, Any, Any]]:
    engine = create_engine(places.postgres().url.replace("postgresql", "postgresql+psycopg"))
    with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    engine.dispose()


@contextmanager
def session() -> Iterator[tuple[Any, Any, Any]]:
    engine = create_engine(places.postgres().url.replace("postgresql", "postgresql+psycopg"))
    with Session(engine) as made:
        yield made, made.commit, made.rollback
    engine.dispose()


@contextmanager
def django() -> Iterator[tuple[Any, Any, Any]]:
    if not settings.configured:
        settings.configure()
        setup()
    from django.db.backends.postgresql.base import DatabaseWrapper

    server = places.postgres()
    facts = {"HOST": "127.0.0.1", "PORT": server.port, "USER": "stoker", "PASSWORD": "", "NAME": "postgres"}
    rest = {"AUTOCOMMIT": True, "TIME_ZONE": None, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "OPTIONS": {}}
    connection = DatabaseWrapper({**facts, **rest, "ATOMIC_REQUESTS": False}, "default")
    connection.set_autocommit(False)
    try:
        yield connection, connection.commit, connection.rollback
    finally:
        connection.close()


@asynccontextmanager
async def aplain() -> AsyncIterator[tuple[Any, Any, Any]]:
    async with await psycopg.AsyncConnection.connect(places.postgres().url) as connection:
        yield connection, connection.commit, connection.rollback


@asynccontextmanager
async def bare() -> AsyncIterator[tuple[Any, Any, Any]]:
    connection = await asyncpg.connect(places.postgres().url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection, transaction.commit, transaction.rollback
    finally:
        await connection.close()


@asynccontextmanager
async def bare_and_pooled() -> AsyncIterator[tuple[Any, Any, Any]]:
    async with asyncpg.create_pool(places.postgres().url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield connection, transaction.commit, transaction.rollback


@asynccontextmanager
async def acore(library: str = "psycopg") -> AsyncIterator[tuple[Any, Any, Any]]:
    engine = create_async_engine(places.postgres().url.replace("postgresql", f"postgresql+{library}"))
    async with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    await engine.dispose()


@asynccontextmanager
async def asession(library: str = "psycopg") -> AsyncIterator[tuple[Any, Any, Any]]:
    engine = create_async_engine(places.postgres().url.replace("postgresql", f"postgresql+{library}"))
    async with AsyncSession(engine) as made:
        yield made, made.commit, made.rollback
    await engine.dispose()


def acore_asyncpg() -> Any:
    return acore("asyncpg")


def asession_asyncpg() -> Any:
    return asession("asyncpg")


SYNC = pytest.mark.parametrize("opened", [plain, with_rows_of_its_own, core, session, django])
ASYNC = pytest.mark.parametrize(
    "opened", [aplain, bare, bare_and_pooled, acore, asession, acore_asyncpg, asession_asyncpg]
)


@SYNC
def test_rolled_back_there_is_no_job(app: Stoker, double: Any, opened: Any) -> None:
    with opened() as (connection, _, rollback):
        assert double.enqueue(1, connection=connection).created
        assert app.jobs.list() == []
        rollback()
    assert app.jobs.list() == []


@SYNC
def test_committed_it_wakes_a_worker(place: Any, double: Any, opened: Any) -> None:
    place.work()
    with opened() as (connection, commit, _):
        handle = double.enqueue(4, connection=connection)
        commit()
        assert handle.result(WAIT) == 8


@SYNC
def test_many_jobs_are_one_transaction(app: Stoker, double: Any, opened: Any) -> None:
    with opened() as (connection, commit, _):
        handles = app.enqueue_many([double.call(n) for n in range(50)], connection=connection)
        assert app.jobs.list() == []
        commit()
    assert [handle.refresh().args for handle in handles] == [[n] for n in range(50)]


@SYNC
def test_a_key_that_is_taken_in_the_same_transaction(double: Any, opened: Any) -> None:
    with opened() as (connection, commit, _):
        first = double.using(key="k").enqueue(1, connection=connection)
        second = double.using(key="k").enqueue(2, connection=connection)
        commit()
    assert (first == second, second.created) == (True, False)


@ASYNC
@pytest.mark.asyncio
async def test_rolled_back_there_is_no_job_in_async_code(app: Stoker, double: Any, opened: Any) -> None:
    async with opened() as (connection, _, rollback):
        await double.aenqueue(1, connection=connection)
        await rollback()
    assert await app.jobs.alist() == []


@ASYNC
@pytest.mark.asyncio
async def test_committed_it_wakes_a_worker_in_async_code(place: Any, double: Any, opened: Any) -> None:
    place.work()
    async with opened() as (connection, commit, _):
        [handle] = await place.app.aenqueue_many([double.call(4)], connection=connection)
        await commit()
        assert await asyncio.to_thread(handle.result, WAIT) == 8


@ASYNC
@pytest.mark.asyncio
async def test_sync_code_cannot_use_an_async_connection(double: Any, opened: Any) -> None:
    async with opened() as (connection, _, _):
        with pytest.raises(ConfigError, match=r"this connection is async: await aenqueue\(…, connection=…\)"):
            double.enqueue(1, connection=connection)


@pytest.mark.asyncio
async def test_async_code_may_hold_a_sync_connection(double: Any) -> None:
    with plain() as (connection, commit, _):
        handle = await double.aenqueue(4, connection=connection)
        commit()
        assert (await handle.arefresh()).state == "queued"


def test_the_job_and_the_callers_rows_are_one(double: Any) -> None:
    with plain() as (connection, commit, rollback):
        connection.execute("CREATE TEMPORARY TABLE orders (id integer)")
        connection.execute("INSERT INTO orders VALUES (1)")
        kept = double.enqueue(1, connection=connection)
        commit()
        connection.execute("INSERT INTO orders VALUES (2)")
        lost = double.enqueue(2, connection=connection)
        rollback()
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1,)
    assert kept.refresh().args == [1]
    with pytest.raises(LookupError):
        lost.refresh()


def test_a_first_use_inside_a_transaction_makes_the_tables_outside_of_it(app: Stoker, double: Any) -> None:
    with plain() as (connection, _, rollback):
        double.enqueue(1, connection=connection)
        rollback()
    assert double.enqueue(1).refresh().state == "queued"


def test_a_connection_to_another_database_is_refused(place: Any, double: Any) -> None:
    double.enqueue(1)
    places.postgres().sql("CREATE DATABASE elsewhere")
    try:
        with psycopg.connect(places.postgres().database_url("elsewhere")) as connection:
            with pytest.raises(ConfigError, match=r"connection= is one to the database elsewhere .* never be seen"):
                double.enqueue(1, connection=connection)
            assert connection.execute("SELECT 1").fetchone() == (1,), "their transaction goes on"
    finally:
        places.postgres().sql("DROP DATABASE elsewhere WITH (FORCE)")  # the server may not know yet that all have left


def test_apps_in_schemas_of_their_own_share_a_connection(make_place: Any) -> None:
    apps = [make_place("queue-postgres").app for _ in range(2)]
    tasks = [app.task(name="t")(lambda: None) for app in apps]
    with plain() as (connection, commit, _):
        for task in tasks:
            task.enqueue(connection=connection)
        connection.execute(text("SELECT 1").text.encode())
        commit()
    assert [app.jobs.count() for app in apps] == [{"queued": 1}] * 2


def test_a_sqlite_connection_is_refused(double: Any) -> None:
    words = "connection= must be one to the database of PostgreSQL"
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(ConfigError, match=words):
        double.enqueue(1, connection=connection)


def test_a_loop_that_ended_is_let_go_with_its_connections(app: Stoker, double: Any) -> None:
    loops = []

    async def once() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await double.aenqueue(1)

    for _ in range(4):
        asyncio.run(once())
    gc.collect()
    assert [loop() for loop in loops[:-1]] == [None] * 3
