"""The first call of a process opens its store, and is in nobody's way."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from stoker import Call, JobNotFound, Stoker, StoreBroken
from stoker.options import Options


def make(path) -> Stoker:
    app = Stoker(f"sqlite:///{path}?timeout=0", mode="queue")

    @app.task(name="work")
    def work() -> None: ...

    return app


def test_the_first_enqueue_may_be_in_a_transaction_that_has_written(tmp_path):
    path = tmp_path / "jobs.db"
    with make(path) as before:
        before.jobs.count()
    with closing(sqlite3.connect(path)) as connection, make(path) as app:
        connection.execute("CREATE TABLE orders (id)")
        with connection:
            connection.execute("INSERT INTO orders VALUES (1)")
            handle = app.enqueue_many([_call(app)], connection=connection)[0]
        assert handle.refresh().state == "queued"


def test_in_a_new_file_the_tables_are_made_in_the_same_transaction(tmp_path):
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection, make(tmp_path / "jobs.db") as app:
        connection.execute("CREATE TABLE orders (id)")
        connection.execute("INSERT INTO orders VALUES (1)")
        [gone] = app.enqueue_many([_call(app)], connection=connection)
        connection.rollback()
        connection.execute("INSERT INTO orders VALUES (2)")
        [kept] = app.enqueue_many([_call(app)], connection=connection)
        connection.commit()
        assert kept.refresh().state == "queued"
        with pytest.raises(JobNotFound):
            gone.refresh()


@pytest.mark.asyncio
async def test_the_same_from_async_code(tmp_path):
    path = tmp_path / "jobs.db"
    with make(path) as before:
        before.jobs.count()
    with closing(sqlite3.connect(path)) as connection:
        async with make(path) as app:
            connection.execute("CREATE TABLE orders (id)")
            with connection:
                connection.execute("INSERT INTO orders VALUES (1)")
                [handle] = await app.aenqueue_many([_call(app)], connection=connection)
            assert (await handle.arefresh()).state == "queued"


def test_reading_waits_for_no_writer(tmp_path):
    path = tmp_path / "jobs.db"
    with make(path) as before:
        before.jobs.count()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, make(path) as app:
        connection.execute("BEGIN IMMEDIATE")
        assert app.jobs.count() == {}


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "jobs.db"
    with make(path) as before:
        before.jobs.count()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE stoker_meta SET value = '1000' WHERE name = 'schema'")
    with make(path) as app, pytest.raises(StoreBroken, match="newer"):
        app.jobs.count()


def _call(app: Stoker) -> Call:
    return Call(app.registry.get("work"), Options(), (), {})
