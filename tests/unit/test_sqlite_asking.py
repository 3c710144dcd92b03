"""Questions to a SQLite file: given up in time, and in nobody's way."""

import asyncio
import threading

import pytest

from stoker.drivers.sqlite import SqliteDriver
from stoker.errors import AppClosed, TookTooLong
from stoker.plan import Plan, Statement
from stoker.stores.sqlite import SqliteStore

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
PLENTY = 60.0


@pytest.fixture
def driver(tmp_path):
    driver = SqliteDriver(str(tmp_path / "jobs.db"))
    driver.run(SqliteStore().migrate())
    yield driver
    driver.close()


def endless(begun=None):
    """A question that has no end; `begun` is set when it is about to be asked."""

    def steps():
        yield Statement("SELECT 1")
        if begun is not None:
            begun.set()
        yield Statement(ENDLESS)

    return Plan(steps, name="endless", writes=False, wakes=False)


async def begin(driver, count):
    """Ask that many endless questions; the tasks, once all of them are being asked."""
    begun = [threading.Event() for _ in range(count)]
    asked = [asyncio.create_task(driver.ask(endless(one), PLENTY)) for one in begun]
    for one in begun:
        assert await asyncio.to_thread(one.wait, PLENTY)
    return asked


async def drop(asked):
    for task in asked:
        task.cancel()
    assert all(isinstance(one, BaseException) for one in await asyncio.gather(*asked, return_exceptions=True))


def test_a_question_that_takes_too_long_is_given_up(driver):
    with pytest.raises(TookTooLong, match=r"narrow it down \(to a queue, a task"):
        asyncio.run(driver.ask(endless(), 0.05))
    assert asyncio.run(driver.ask(SqliteStore().count(), PLENTY)) == {}


def test_it_is_given_up_by_sqlite_as_well(driver):
    """Else the threads that ask would be lost to it, and those who ask next would wait for ever."""

    async def ask():
        for _ in range(8):
            with pytest.raises(TookTooLong):
                await driver.ask(endless(), 0.05)
        assert await driver.ask(SqliteStore().count(), PLENTY) == {}

    asyncio.run(ask())


def test_nobody_else_waits_for_a_costly_question(driver):
    async def ask():
        asked = await begin(driver, 2)
        assert await driver.arun(SqliteStore().count()) == {}
        assert await driver.ask(SqliteStore().count(), PLENTY) == {}
        assert await asyncio.to_thread(driver.run, SqliteStore().keep("name", "value")) == "value"
        assert not any(task.done() for task in asked)
        await drop(asked)

    asyncio.run(ask())


def test_time_runs_while_a_question_waits_for_its_turn(driver):
    async def ask():
        asked = await begin(driver, 4)
        with pytest.raises(TookTooLong):
            await driver.ask(SqliteStore().count(), 0.05)
        await drop(asked)

    asyncio.run(ask())


def test_a_question_that_nobody_waits_for_is_dropped(driver):
    async def ask():
        await drop(await begin(driver, 4))
        assert await driver.ask(SqliteStore().count(), PLENTY) == {}

    asyncio.run(ask())


def test_closing_gives_up_what_is_asked(driver):
    async def ask():
        asked = await begin(driver, 1)
        await asyncio.to_thread(driver.close)
        (answer,) = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(answer, TookTooLong)
        with pytest.raises(AppClosed):
            await driver.ask(SqliteStore().count(), PLENTY)

    asyncio.run(ask())


def test_a_connection_that_was_stopped_is_as_good_as_before(driver):
    with pytest.raises(TookTooLong):
        asyncio.run(driver.ask(endless(), 0.05))
    slow = ENDLESS.replace("FROM n)", "FROM n WHERE i < 100000)")

    def steps():
        return (yield Statement(slow)).rows

    assert driver.run(Plan(steps, name="slow", writes=False, wakes=False)) == [(100_000,)]
