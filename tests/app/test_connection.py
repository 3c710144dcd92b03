"""Enqueuing inside the caller's own transaction: rolled back, there is no job; committed, it runs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from stoker import ConfigError

WAIT = 30


@pytest.fixture
def path(sqlite_place: Any, tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def double(sqlite_place: Any) -> Any:
    @sqlite_place.app.task(name="double")
    def double(n: int) -> int:
        return n * 2

    return double


@contextmanager
def plain(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        yield connection, connection.commit, connection.rollback


@contextmanager
def core(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    engine.dispose()


@contextmanager
def session(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    engine = create_engine(f"sqlite:///{path}")
    with Session(engine) as made:
        yield made, made.commit, made.rollback
    engine.dispose()


@contextmanager
def scoped(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    engine = create_engine(f"sqlite:///{path}")
    made = scoped_session(sessionmaker(engine))
    yield made, made.commit, made.rollback
    made.remove()
    engine.dispose()


@asynccontextmanager
async def acore(path: Path) -> AsyncIterator[tuple[Any, Any, Any]]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    await engine.dispose()


@asynccontextmanager
async def asession(path: Path) -> AsyncIterator[tuple[Any, Any, Any]]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with AsyncSession(engine) as made:
        yield made, made.commit, made.rollback
    await engine.dispose()


SYNC = pytest.mark.parametrize("opened", [plain, core, session, scoped])
ASYNC = pytest.mark.parametrize("opened", [acore, asession])


@SYNC
def test_rolled_back_there_is_no_job(sqlite_place: Any, double: Any, path: Path, opened: Any) -> None:
    with opened(path) as (connection, _, rollback):
        handle = double.enqueue(1, connection=connection)
        assert handle.created
        assert sqlite_place.app.jobs.list() == []
        rollback()
    assert sqlite_place.app.jobs.list() == []


@SYNC
def test_committed_it_runs(sqlite_place: Any, double: Any, path: Path, opened: Any) -> None:
    sqlite_place.work()
    with opened(path) as (connection, commit, _):
        handle = double.enqueue(4, connection=connection)
        commit()
        assert handle.result(WAIT) == 8


@SYNC
@pytest.mark.asyncio
async def test_async_code_may_hold_a_sync_connection(double: Any, path: Path, opened: Any) -> None:
    with opened(path) as (connection, commit, _):
        handle = await double.aenqueue(4, connection=connection)
        commit()
        assert (await handle.arefresh()).state == "queued"


@SYNC
def test_many_jobs_are_one_transaction(sqlite_place: Any, double: Any, path: Path, opened: Any) -> None:
    with opened(path) as (connection, commit, _):
        handles = sqlite_place.app.enqueue_many([double.call(n) for n in range(50)], connection=connection)
        assert sqlite_place.app.jobs.list() == []
        commit()
    assert [handle.refresh().args for handle in handles] == [[n] for n in range(50)]


@ASYNC
@pytest.mark.asyncio
async def test_rolled_back_there_is_no_job_in_async_code(
    sqlite_place: Any, double: Any, path: Path, opened: Any
) -> None:
    async with opened(path) as (connection, _, rollback):
        await double.aenqueue(1, connection=connection)
        await rollback()
    assert await sqlite_place.app.jobs.alist() == []


@ASYNC
@pytest.mark.asyncio
async def test_committed_it_runs_in_async_code(sqlite_place: Any, double: Any, path: Path, opened: Any) -> None:
    sqlite_place.work()
    async with opened(path) as (connection, commit, _):
        [handle] = await sqlite_place.app.aenqueue_many([double.call(4)], connection=connection)
        await commit()
        assert await asyncio.to_thread(handle.result, WAIT) == 8


@ASYNC
@pytest.mark.asyncio
async def test_sync_code_cannot_use_an_async_connection(double: Any, path: Path, opened: Any) -> None:
    async with opened(path) as (connection, _, _):
        with pytest.raises(ConfigError, match=r"this connection is async: await aenqueue\(…, connection=…\)"):
            double.enqueue(1, connection=connection)


def test_the_job_and_the_callers_rows_are_one(double: Any, path: Path) -> None:
    double.enqueue(0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.execute("INSERT INTO orders VALUES (1)")
        kept = double.enqueue(1, connection=connection)
        connection.commit()
        connection.execute("INSERT INTO orders VALUES (2)")
        lost = double.enqueue(2, connection=connection)
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1,)
    assert kept.refresh().args == [1]
    with pytest.raises(LookupError):
        lost.refresh()


def test_the_first_use_of_an_app_may_be_inside_a_transaction(double: Any, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        double.enqueue(0)
        connection.execute("BEGIN IMMEDIATE")
        double.enqueue(1, connection=connection)
        connection.execute("COMMIT")


def test_an_app_that_was_set_up_before_does_not_wait_for_the_callers_lock(tmp_path: Path) -> None:
    from stoker import Stoker

    url = f"sqlite:///{tmp_path}/jobs.db?timeout=0.2"
    with Stoker(url) as first:
        first.jobs.count()
    with Stoker(url) as app, closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as connection:
        task = app.task(name="t")(lambda: None)
        connection.execute("BEGIN IMMEDIATE")
        handle = task.enqueue(connection=connection)
        connection.execute("COMMIT")
        assert handle.refresh().state == "queued"


def test_a_transaction_may_be_bound_to_the_task(double: Any, path: Path) -> None:
    with plain(path) as (connection, commit, _):
        bound = double.using(connection=connection, priority=3)
        handles = [bound.enqueue(1), bound.using(queue="q").enqueue(2)]
        commit()
    assert [handle.refresh().priority for handle in handles] == [3, 3]


def test_a_key_that_is_taken_in_the_same_transaction(double: Any, path: Path) -> None:
    with plain(path) as (connection, commit, _):
        first = double.using(key="k").enqueue(1, connection=connection)
        second = double.using(key="k").enqueue(2, connection=connection)
        commit()
    assert (first == second, second.created) == (True, False)


def test_the_callers_row_factory_is_left_alone(double: Any, path: Path) -> None:
    with plain(path) as (connection, commit, _):
        connection.row_factory = sqlite3.Row
        assert double.using(key="k").enqueue(1, connection=connection).created
        assert not double.using(key="k").enqueue(1, connection=connection).created
        assert isinstance(connection.execute("SELECT 1 AS one").fetchone(), sqlite3.Row)
        commit()


def test_a_connection_to_another_file_is_refused(double: Any, tmp_path: Path) -> None:
    with plain(tmp_path / "other.db") as (connection, _, _), pytest.raises(ConfigError) as caught:
        double.enqueue(1, connection=connection)
    assert "connection= is one to the database" in str(caught.value)
    assert "a job there would never be seen" in str(caught.value)
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(ConfigError, match="in memory"):
        double.enqueue(1, connection=connection)


def test_what_is_no_connection_is_refused(double: Any, path: Path) -> None:
    with pytest.raises(ConfigError, match=r"connection= takes a sqlite3 connection, .*, not builtins\.int"):
        double.enqueue(1, connection=5)
    engine = create_engine(f"sqlite:///{path}")
    with pytest.raises(ConfigError, match=r"not sqlalchemy\.engine\.base\.Engine"):
        double.enqueue(1, connection=engine)
    engine.dispose()


@pytest.mark.parametrize("name", ["queue-memory", "async", "foreground"])
def test_memory_has_no_transaction_to_share(make_place: Any, path: Path, name: str) -> None:
    task = make_place(name).app.task(name="t")(lambda: None)
    words = "connection= needs a store in the caller's own database; memory is not one"
    with plain(path) as (connection, _, _), pytest.raises(ConfigError, match=words):
        task.enqueue(connection=connection)


def test_a_task_may_have_a_parameter_of_that_name(sqlite_place: Any) -> None:
    @sqlite_place.app.task(name="dial")
    def dial(connection: str) -> str:
        return connection

    assert dial.enqueue(connection="modem").refresh().kwargs == {"connection": "modem"}


def test_sessions_flush_nothing_of_the_callers(double: Any, path: Path) -> None:
    double.enqueue(0)
    with session(path) as (made, commit, _):
        made.execute(text("CREATE TABLE notes (id INTEGER)"))
        made.execute(text("INSERT INTO notes VALUES (1)"))
        handle = double.enqueue(1, connection=made)
        commit()
    assert handle.refresh().state == "queued"
