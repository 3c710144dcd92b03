"""What a wrong URL, password, database or privilege is told; that pools end; that no hot verb walks all jobs."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from servers import PostgresServer
from servers.process import until

import places
from stoker import ConfigError, StoreBroken, StoreUnavailable
from stoker.clock import IdSource
from stoker.connect import connect
from stoker.drivers.borrowed import borrow
from stoker.errors import TookTooLong
from stoker.job import Guard, Limit, NewJob, Outcome, Progress, State, Verdict
from stoker.plan import Plan, Statement, Steps
from stoker.store import Command, Fair, Filter, QueueLimit, Routing, Want, Worker
from stoker.tally_store import Tally
from stoker.views import Totals

new_id = IdSource()


@pytest.fixture
def url(tmp_path: Any) -> Iterator[str]:
    with places.fresh("postgres", tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def strict() -> Iterator[PostgresServer]:
    """A server that demands passwords of all but its first user."""
    server = places.started(PostgresServer)
    server.sql("CREATE ROLE app LOGIN PASSWORD 'right'")
    server.demand_passwords()
    yield server
    server.close()


def job(**facts: Any) -> NewJob:
    return NewJob(id=new_id(), task="task", payload="[[],{}]", keep_for=1, **facts)


def failing(url: str) -> str:
    """What the first call to that URL is told; a mistake of configuration, and no secret in it."""
    store, driver = connect(url)
    try:
        with pytest.raises(ConfigError) as caught:
            driver.run(store.pending())
    finally:
        driver.close()
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://h/d?schema=Jobs", "schema must be a name of small letters, digits and _"),
        ("postgresql://h/d?schema=pg_jobs", "not pg_…"),
        ('postgresql://h/d?schema=a";drop', "schema must be a name of small letters"),
        ("postgresql://h/d?pool_size=0", "pool_size must be a number of connections, 1 or more, not '0'"),
        ("postgresql://h/d?listen=maybe", "listen must be yes (the default) or no, not 'maybe'"),
        ("postgresql://h/d?timeout=-1", "timeout must be a number of seconds, not '-1'"),
        ("postgresql://u:s3cret@h/d?sslmod=require", "the URL is not understood"),
        ("postgresql://u:s3#cret@h/d", "write %23 for a #"),
    ],
)
def test_a_wrong_url_is_told_what_it_should_be(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(url)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_place_is_named_without_the_password() -> None:
    driver = connect("postgres://u:s3cret@db.example:5433/shop?schema=jobs&sslmode=require").driver
    assert driver.place == "PostgreSQL db.example:5433/shop, schema jobs"
    assert "synchronous_commit" in driver.durability
    driver.close()


def test_mistakes_are_told_apart(strict: PostgresServer) -> None:
    at = f"127.0.0.1:{strict.port}"
    assert "refused the password" in failing(f"postgresql://app:s3cret@{at}/postgres")
    assert "refused the password" in failing(f"postgresql://app@{at}/postgres")
    assert "the database does not exist" in failing(f"postgresql://app:right@{at}/nowhere")
    assert "a value that libpq does not take" in failing("postgresql://u:s3cret@h:port/d")
    assert "a value that libpq does not take" in failing("postgresql://u:s3cret@127.0.0.1:1/d?sslmode=perhaps")


def test_a_missing_privilege_is_named(strict: PostgresServer) -> None:
    strict.sql("CREATE SCHEMA closed")
    store, driver = connect(f"postgresql://app:right@127.0.0.1:{strict.port}/postgres?schema=closed")
    try:
        assert driver.run(store.pending()) == list(store.migrations())
        with pytest.raises(ConfigError, match="a privilege is missing: GRANT USAGE ON SCHEMA closed"):
            driver.run(store.migrate())
        assert any("GRANT USAGE" in (finding.advice or "") for finding in driver.examine())
    finally:
        driver.close()


def test_nothing_answers() -> None:
    store, driver = connect("postgresql://127.0.0.1:1/d")
    with pytest.raises(StoreUnavailable, match=r"nothing answers there; is the server running\?"):
        driver.run(store.pending())
    (finding,) = driver.examine()
    assert "nothing answers there" in finding.detail
    driver.close()


def test_a_pool_that_is_used_up_says_so(url: str) -> None:
    store, driver = connect(f"{url}&pool_size=1&timeout=0.1")
    taken, done = threading.Event(), threading.Event()

    def slow() -> Steps[None]:
        taken.set()
        done.wait(30)
        yield Statement("SELECT 1", alone=True)

    thread = threading.Thread(target=lambda: driver.run(Plan(slow, name="slow", writes=False, wakes=False)))
    thread.start()
    taken.wait(30)
    try:
        with pytest.raises(StoreUnavailable, match=r"all 1 connections of this process were in use for 0\.1 s"):
            driver.run(store.pending())
    finally:
        done.set()
        thread.join()
        driver.close()


def test_an_idle_connection_that_was_cut_is_replaced(url: str) -> None:
    store, driver = connect(url)
    driver.run(store.migrate())
    places.postgres().sql(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = 'stoker'"
    )
    assert driver.run(store.count()) == {}
    driver.close()


def test_a_newer_schema_is_refused(url: str) -> None:
    store, driver = connect(url)
    driver.run(store.migrate())
    schema = url.rpartition("=")[2]
    places.postgres().sql(f"UPDATE {schema}.meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(StoreBroken, match="written by a newer version of Stoker"):
        driver.run(store.migrate())
    with pytest.raises(StoreBroken, match="nothing was changed"):
        driver.run(store.pending())
    driver.close()


def test_data_that_does_not_fit_is_the_callers_own_affair(url: str) -> None:
    store, driver = connect(url)
    driver.run(store.migrate())
    with pytest.raises(psycopg.DataError):
        driver.run(store.insert([job(priority=100_000)]))
    assert driver.run(store.count()) == {}
    driver.close()


@pytest.mark.parametrize("options", ["&prepare=no&listen=no", ""])
def test_with_and_without_prepared_statements(url: str, options: str) -> None:
    store, driver = connect(url + options)
    driver.run(store.migrate())
    for _ in range(10):
        driver.run(store.insert([job()]))
    assert driver.run(store.count()) == {"queued": 10}
    driver.close()


def test_no_hot_verb_walks_all_jobs(url: str) -> None:
    """Counted by the server itself: every verb of a worker leaves the table's sequential scans where they were.

    Jobs that wait for each other, have limits, or are guarded or queued in turns, are no exception.
    """
    store, driver = connect(url)
    driver.run(store.migrate())
    driver.close()  # then its counts arrive
    # The server may come by once a minute and analyze the table: then it knows how small it is, and likes to walk it.
    places.postgres().sql(f"ALTER TABLE {url.rpartition('=')[2]}.jobs SET (autovacuum_enabled = off)")
    before = scans(url)
    store, driver = connect(url)
    driver.run(store.register(Worker(id="w", host="h", pid=1, version="1", concurrency=1), 3_600_000_000))
    routing = Routing(tasks=frozenset({"task"}))
    outcomes: list[Outcome] = []
    driver.run(store.limit("turns", QueueLimit(concurrency=2, rate=9, period=1_000_000, fair=Fair.OWNER)))
    for turn in range(8):
        driver.run(store.insert([job(key=f"k{turn}"), job(key=f"k{turn}"), job(delay=10**9), job(queue="other")]))
        limited = [job(limit=Limit("one", 1, 9, 1_000_000), queue="turns", owner=f"u{n % 2}") for n in range(3)]
        child = job(parents=tuple(parent.id for parent in limited))
        driver.run(store.insert([*limited, child, job(guard=Guard("g", 1_000, last=bool(turn % 2)), workflow="w")]))
        verdicts = (Verdict.COMPLETED, Verdict.RETRY, Verdict.CANCELLED)
        answer = driver.run(store.exchange("w", outcomes, [Want(None, 5)], routing, 5, turn, None if turn % 2 else ()))
        outcomes = [
            Outcome(c.ref, c.fence, verdict, result="1" if verdict is Verdict.COMPLETED else None, log="t" * (turn % 2))
            for c, verdict in zip(answer.claims, itertools.cycle(verdicts), strict=False)
        ]
        driver.run(store.heartbeat("w", [Progress(c.ref, c.fence, log="text") for c in answer.claims], 3_600_000_000))
        driver.run(store.hear("w"))
        driver.run(store.command("w", Command.QUIET))
        driver.run(store.tallies.add([Tally(queue="other", completed=1)]))
        driver.run(store.changes({c.id: 0 for c in answer.claims}))
        driver.run(store.front("turns"))
        driver.run(store.totals())
        driver.run(store.logs(child.id))
        driver.run(store.recover())
        driver.run(store.prune())
        driver.run(store.find(Filter(ids=("x",))))
    driver.close()
    assert scans(url) == before


def endless() -> Plan[None]:
    """A question that has no end."""

    def steps() -> Steps[None]:
        yield Statement("SELECT pg_sleep(3600)")

    return Plan(steps, name="endless", writes=False, wakes=False)


def asked() -> str:
    """How many endless questions the server is working at."""
    mine = "query = 'SELECT pg_sleep(3600)' AND state = 'active'"
    return places.postgres().sql(f"SELECT count(*) FROM pg_stat_activity WHERE {mine}")


@pytest.mark.parametrize("options", ["&prepare=no&listen=no", ""])
def test_a_question_that_takes_too_long_is_given_up(url: str, options: str) -> None:
    store, driver = connect(url + options)
    driver.run(store.migrate())

    async def ask() -> None:
        for _ in range(6):
            with pytest.raises(TookTooLong, match=r"narrow it down \(to a queue, a task"):
                await driver.ask(endless(), 0.05)
        assert await driver.ask(store.count(), 60) == {}

    asyncio.run(ask())
    until(lambda: asked() == "0", "the server gave them up as well")
    driver.close()


def test_nobody_waits_for_a_costly_question(url: str) -> None:
    store, driver = connect(url)
    driver.run(store.migrate())

    async def ask() -> None:
        questions = [asyncio.create_task(driver.ask(endless(), 600)) for _ in range(4)]
        await asyncio.to_thread(until, lambda: asked() == "4", "the server works at all of them")
        assert await driver.arun(store.count()) == {}
        with pytest.raises(TookTooLong):  # its time runs while it waits for its turn
            await driver.ask(store.count(), 0.05)
        for question in questions:
            question.cancel()
        assert all(isinstance(one, BaseException) for one in await asyncio.gather(*questions, return_exceptions=True))
        assert await driver.ask(store.count(), 60) == {}

    asyncio.run(ask())
    until(lambda: asked() == "0", "nobody waits for them, so the server gave them up")
    driver.close()


def test_a_time_limit_ends_with_its_question(url: str) -> None:
    """Behind a pooler the next transaction on that connection is somebody else's."""
    driver = connect(f"{url}&pool_size=1").driver

    def steps() -> Steps[Any]:
        return (yield Statement("SHOW statement_timeout")).rows[0][0]

    shown = Plan(steps, name="show", writes=False, wakes=False)

    async def ask() -> tuple[Any, ...]:
        connection = driver._pool_of_loop(driver._asking_pools, driver._asking_terms)  # type: ignore[attr-defined]
        inside = await driver.ask(shown, 60)
        async with connection.lent() as lent:
            return inside, await driver._arun_on(lent, shown)  # type: ignore[attr-defined]

    inside, after = asyncio.run(ask())
    assert inside != "0"
    assert after == "0"
    driver.close()


def test_many_finished_jobs_are_estimated_and_unfinished_ones_counted(url: str, monkeypatch: Any) -> None:
    store, driver = connect(url)
    driver.run(store.migrate())
    driver.run(store.register(Worker(id="w", host="h", pid=1, version="1", concurrency=1), 3_600_000_000))
    driver.run(store.insert([job() for _ in range(3_000)]))
    claims = driver.run(store.exchange("w", (), [Want(None, 3_000)], Routing(tasks=frozenset({"task"})), 3_000)).claims
    verdicts = [Verdict.FAILED] * 50 + [Verdict.CANCELLED] * 40 + [Verdict.COMPLETED] * 2_910
    done = [Outcome(c.ref, c.fence, verdict, result="1") for c, verdict in zip(claims, verdicts, strict=True)]
    driver.run(store.exchange("w", done))
    driver.run(store.insert([*(job() for _ in range(7)), job(delay=10**9)]))
    exact = driver.run(store.totals())
    finished = {State.COMPLETED: 2_910, State.FAILED: 50, State.CANCELLED: 40}
    assert exact == Totals({State.SCHEDULED: 1, State.QUEUED: 7} | finished)

    schema = url.rpartition("=")[2]
    places.postgres().sql(f"ANALYZE {schema}.jobs")
    monkeypatch.setattr("stoker.stores.postgres.plans._COUNTED", 1_000)
    guess = driver.run(store.totals())
    assert guess.estimated
    assert {state: n for state, n in guess.counts.items() if state is not State.COMPLETED} == {
        state: n for state, n in exact.counts.items() if state is not State.COMPLETED
    }
    assert 2_500 < guess.counts[State.COMPLETED] < 3_300
    monkeypatch.setattr("stoker.stores.postgres.plans._COUNTED", 20)
    guess = driver.run(store.totals())
    assert guess.estimated
    assert (guess.counts[State.SCHEDULED], guess.counts[State.QUEUED]) == (1, 7)
    assert 20 < guess.counts[State.FAILED] < 100
    driver.close()


def scans(url: str) -> str:
    """The count, once everybody who may add to it is gone: a server process hands it in as its last deed."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    until(lambda: places.postgres().sql(others) == "0", "all others are gone")
    schema = url.rpartition("=")[2]
    return places.postgres().sql(
        f"SELECT seq_scan FROM pg_stat_all_tables WHERE schemaname = '{schema}' AND relname = 'jobs'"
    )


def test_a_callers_long_transaction_holds_nobody_up(url: str) -> None:
    """Jobs with limits and parents that somebody inserts and does not commit: workers go on with others of their kind.
    Once it is committed, a child whose parent ended meanwhile is queued, and the limit lets the next one in."""
    store, driver = connect(f"{url}&timeout=5")
    driver.run(store.migrate())
    driver.run(store.register(Worker(id="w", host="h", pid=1, version="1", concurrency=9), 3_600_000_000))
    routing = Routing(tasks=frozenset({"task"}))
    one = Limit("one", concurrency=1)
    first, second = job(limit=one), job(limit=one)
    driver.run(store.insert([first, second]))
    (claim,) = driver.run(store.exchange("w", (), [Want(None, 9)], routing, 9)).claims
    with psycopg.connect(places.postgres().url) as connection:
        third, child = job(limit=one), job(parents=(first.id,))
        borrow(connection).run(store.insert([third, child]))
        done = Outcome(claim.ref, claim.fence, Verdict.COMPLETED, result="1")
        (claim,) = driver.run(store.exchange("w", [done], [Want(None, 9)], routing, 9)).claims
        assert claim.id == second.id
        connection.commit()
    done = Outcome(claim.ref, claim.fence, Verdict.COMPLETED, result="1")
    claims = driver.run(store.exchange("w", [done], [Want(None, 9)], routing, 9)).claims
    assert [claim.id for claim in claims] == [third.id, child.id]
    driver.close()
