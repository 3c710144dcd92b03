"""The Redis driver: what it says when something is wrong, and how it goes on after it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from servers.process import until

import places
from stoker.clock import IdSource
from stoker.connect import connect
from stoker.connect.connection import Connection
from stoker.errors import AppClosed, ConfigError, InvalidOption, StoreBroken, StoreUnavailable, TookTooLong
from stoker.job import NewJob
from stoker.plan import Plan, Steps
from stoker.store import Fair, Filter, QueueLimit

new_id = IdSource()


@pytest.fixture
def server() -> Iterator[object]:
    """A server of the test's own, which may be stopped, filled and locked."""
    from servers import RedisServer

    made = places.started(RedisServer)
    yield made
    made.close()


@pytest.fixture
def opened(server) -> Iterator[Connection]:
    connection = connect(f"{server.url}?timeout=60")
    yield connection
    connection.driver.close()


def new(**facts: object) -> NewJob:
    return NewJob(**{"id": new_id(), "task": "t", "payload": "[[],{}]", "keep_for": 10**9} | facts)


def insert(connection: Connection, job: NewJob | None = None) -> bool:
    (answer,) = connection.driver.run(connection.store.insert([job or new()]))
    return answer.created


def told(url: str) -> str:
    """What a first enqueue at that URL is refused with."""
    connection = connect(url)
    try:
        with pytest.raises((ConfigError, StoreUnavailable, StoreBroken)) as refused:
            connection.driver.run(connection.store.migrate())
    finally:
        connection.driver.close()
    return f"{refused.type.__name__}: {refused.value}"


@contextmanager
def silent(server) -> Iterator[None]:
    """It is there, and says nothing, however long that takes."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there():
    with places.nobody() as port:
        text = told(f"redis://127.0.0.1:{port}")
    assert text.startswith("StoreUnavailable")
    assert "is the server running" in text


def test_a_wrong_password_is_said_and_not_shown(server):
    server.cli("CONFIG", "SET", "requirepass", "right")
    text = told(f"redis://:wr0ng@127.0.0.1:{server.port}")
    assert text.startswith("ConfigError")
    assert "password" in text
    assert "wr0ng" not in text
    missing = told(server.url)
    assert missing.startswith("ConfigError")
    assert "redis://USER:PASSWORD@HOST" in missing


@pytest.mark.parametrize(("denied", "named"), [("-@scripting", "EVALSHA"), ("-zadd", "ZADD"), ("-publish", "PUBLISH")])
def test_a_user_that_may_not_do_enough_hears_which_command(server, denied, named):
    server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", denied)
    text = told(f"redis://app:secret@127.0.0.1:{server.port}")
    assert text.startswith("ConfigError")
    assert named.lower() in text.lower()
    assert "secret" not in text


def test_a_user_needs_only_the_keys_of_the_prefix(server):
    server.cli("ACL", "SETUSER", "app", "on", ">secret", "~{mine}*", "&{mine}*", "+@all", "-@dangerous", "-@admin")
    connection = connect(f"redis://app:secret@127.0.0.1:{server.port}?prefix=mine")
    assert insert(connection)
    connection.driver.close()
    assert told(f"redis://app:secret@127.0.0.1:{server.port}?prefix=other").startswith("ConfigError")


def test_a_server_that_drops_keys_is_refused_unless_that_is_wanted(server):
    server.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert insert_at(server.url)  # without a limit nothing is ever dropped
    server.cli("CONFIG", "SET", "maxmemory", "100mb")
    text = told(server.url)
    assert text.startswith("ConfigError")
    assert "CONFIG SET maxmemory-policy noeviction" in text
    assert insert_at(f"{server.url}?allow_eviction=yes")
    server.cli("CONFIG", "SET", "maxmemory-policy", "volatile-lru")  # our keys have no time to live
    assert insert_at(server.url)


def insert_at(url: str) -> bool:
    connection = connect(url)
    try:
        return insert(connection)
    finally:
        connection.driver.close()


def test_a_full_server_takes_no_job_and_loses_none(server, opened):
    kept = new()
    assert insert(opened, kept)
    server.cli("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="nothing of this call was written"):
        insert(opened)
    server.cli("CONFIG", "SET", "maxmemory", "0")
    assert [job.id for job in opened.driver.run(opened.store.find())] == [kept.id]


def test_a_newer_version_is_left_alone(server, opened):
    server.cli("SET", "{stoker}:schema", "99")
    for plan in (opened.store.pending(), opened.store.migrate()):
        with pytest.raises(StoreBroken, match="newer version"):
            opened.driver.run(plan)


def test_keys_that_are_somebody_elses(server, opened):
    server.cli("SET", "{stoker}:stand", "mine")
    with pytest.raises(StoreBroken, match=r"\?prefix="):
        insert(opened)


def test_a_replica_takes_no_writes(server, opened):
    server.cli("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailable, match="replica"):
        insert(opened)


# --- going on -------------------------------------------------------------------------------------------------------


def test_a_server_that_forgot_the_scripts_is_told_them_again(server, opened):
    assert insert(opened)
    server.cli("SCRIPT", "FLUSH")
    assert insert(opened)


def test_connections_that_died_while_idle_are_replaced_unseen(server, opened):
    assert insert(opened)
    server.cli("CLIENT", "KILL", "TYPE", "normal")
    assert insert(opened)
    server.cli("CLIENT", "KILL", "TYPE", "normal")
    asyncio.run(opened.driver.arun(opened.store.insert([new()])))
    server.stop()
    with pytest.raises(StoreUnavailable):
        insert(opened)
    server.start()
    assert insert(opened)


def test_a_call_without_a_reply_ends_in_time_and_may_be_repeated(server):
    connection = connect(f"{server.url}?timeout=0.5")
    store, driver = connection
    job = new()

    def warm() -> bool:  # on a busy machine so short a time may not be enough even for a server that answers
        with suppress(StoreUnavailable):
            driver.run(store.migrate())
            driver.run(store.exchange("nobody"))
            return True
        return False

    until(warm, "it has answered once")
    with silent(server):
        with pytest.raises(StoreUnavailable):
            insert(connection, job)
        with pytest.raises(StoreUnavailable):
            asyncio.run(driver.arun(store.insert([job])))
    driver.close()
    patient = connect(server.url)
    insert(patient, job)  # whether it was done or not
    assert patient.driver.run(patient.store.count()) == {"queued": 1}
    patient.driver.close()


def test_a_cancelled_call_does_not_hand_its_reply_to_the_next(opened):
    async def run() -> None:
        jobs = [new() for _ in range(200)]
        for job in jobs[::2]:
            call = asyncio.ensure_future(opened.driver.arun(opened.store.insert([job])))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
            (found,) = await opened.driver.arun(opened.store.insert([jobs[1]]))
            assert found.id == jobs[1].id
        await asyncio.sleep(0)

    asyncio.run(run())


def test_threads_and_loops_share_one_driver(opened):
    opened.driver.run(opened.store.migrate())
    made: list[bool] = []

    def in_thread() -> None:
        made.extend(insert(opened) for _ in range(20))

    def on_loop() -> None:
        async def run() -> None:
            answers = await asyncio.gather(*(opened.driver.arun(opened.store.insert([new()])) for _ in range(50)))
            made.extend(answer.created for (answer,) in answers)

        asyncio.run(run())

    threads = [threading.Thread(target=work) for work in (in_thread, on_loop) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [True] * 210


def test_a_forked_child_has_connections_of_its_own(opened):
    assert insert(opened)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if all(insert(opened) for _ in range(50)) else 1
        finally:
            os._exit(code)
    assert all(insert(opened) for _ in range(50))
    assert os.waitpid(child, 0)[1] == 0
    assert opened.driver.run(opened.store.count()) == {"queued": 101}


def test_a_closed_driver_says_so(opened):
    assert insert(opened)
    opened.driver.close()
    opened.driver.close()
    with pytest.raises(AppClosed):
        insert(opened)


# --- questions with a time limit ------------------------------------------------------------------------------------


def endless(connection: Connection, ended: threading.Event) -> Plan[None]:
    """A plan that asks and asks, and says when it is not pumped any more."""

    def steps() -> Steps[None]:
        try:
            while True:
                yield from connection.store.pending().start()
        finally:
            ended.set()

    return Plan(steps, name="endless", writes=False, wakes=False)


def test_a_question_is_given_up_and_the_server_is_asked_no_more(opened):
    insert(opened)
    ended = threading.Event()
    with pytest.raises(TookTooLong, match=r"within 0\.1 seconds; narrow the question"):
        asyncio.run(opened.driver.ask(endless(opened, ended), 0.1))
    assert ended.wait(60)
    assert asyncio.run(opened.driver.ask(opened.store.count(), 60)) == {"queued": 1}


def test_a_question_that_nobody_waits_for_is_given_up(opened):
    insert(opened)
    ended = threading.Event()

    async def ask() -> None:
        asking = asyncio.ensure_future(opened.driver.ask(endless(opened, ended), 600))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask())
    assert ended.wait(60)


def test_a_server_that_stands_still_keeps_no_question_waiting(server, opened):
    insert(opened)

    async def ask() -> None:
        with silent(server), pytest.raises(TookTooLong):
            await opened.driver.ask(opened.store.count(), 0.1)

    asyncio.run(ask())


def test_what_goes_wrong_with_a_question_is_said_as_with_any_call(server, opened):
    insert(opened)
    server.stop()
    with pytest.raises(StoreUnavailable, match="is the server running"):
        asyncio.run(opened.driver.ask(opened.store.count(), 60))
    server.start()
    opened.driver.close()
    with pytest.raises(AppClosed):
        asyncio.run(opened.driver.ask(opened.store.count(), 60))


# --- wake-ups -------------------------------------------------------------------------------------------------------


def test_a_listener_hears_of_work_and_survives_a_cut_and_a_restart(server, opened):
    async def run() -> None:
        heard = asyncio.Event()
        stop = opened.driver.listen(asyncio.get_running_loop(), heard.set)
        try:
            for trouble in (lambda: None, lambda: server.cli("CLIENT", "KILL", "TYPE", "pubsub"), restart):
                trouble()
                await asyncio.wait_for(heard.wait(), 60)  # connected: whatever came before may have been missed
                heard.clear()
                await opened.driver.arun(opened.store.exchange("nobody"))
                server.cli("SET", "{stoker}:idle", "1")
                insert(opened)
                await asyncio.wait_for(heard.wait(), 60)
                heard.clear()
        finally:
            stop()
            await asyncio.sleep(0)

    def restart() -> None:
        server.stop()
        server.start()

    asyncio.run(run())


def test_a_busy_system_calls_nobody(server, opened):
    insert(opened)
    assert server.cli("EXISTS", "{stoker}:idle") == "0"
    server.cli("CONFIG", "RESETSTAT")
    insert(opened)
    assert "cmdstat_publish" not in server.cli("INFO", "commandstats")


# --- what is left behind --------------------------------------------------------------------------------------------


def test_nothing_lies_outside_the_prefix_and_nothing_is_left_of_a_deleted_job(server):
    from stoker.store import Action, Change

    connection = connect(f"{server.url}?prefix=mine")
    store, driver = connection
    driver.run(store.migrate())
    before = set(server.cli("KEYS", "*").split())
    driver.run(store.insert([new(key="k", owner="o", tags=("a",)), new(delay=10**9), new(parents=("x",))]))
    assert all(name.startswith("{mine}:") for name in server.cli("KEYS", "*").split())
    assert driver.run(store.amend(Filter(), Change(Action.DELETE))) == 3
    assert set(server.cli("KEYS", "*").split()) - before == {"{mine}:serial"}
    driver.close()


def test_nothing_is_left_of_workflows_and_limits(server, opened):
    from stoker.job import Guard, Limit
    from stoker.store import Action, Change, Fair, QueueLimit

    store, driver = opened
    driver.run(store.limit("default", QueueLimit(concurrency=1, fair=Fair.OWNER)))
    before = set(server.cli("KEYS", "*").split())
    parent = new(workflow="w", owner="o")
    child = new(workflow="w", parents=(parent.id,), limit=Limit("l", 1, 1, 10**9))
    others = [new(limit=Limit("l", 1, 1, 10**9), guard=Guard(f"g{n}", 0, last=False)) for n in range(5)]
    driver.run(store.insert([parent, child, *others]))
    assert driver.run(store.amend(Filter(), Change(Action.DELETE))) == 7
    driver.run(store.prune())
    left = {"serial", "limits", "spent"}
    assert set(server.cli("KEYS", "*").split()) - before == {f"{{stoker}}:{name}" for name in left}


def test_what_stands_in_no_index_is_found_and_put_right(server, opened):
    store, driver = opened
    jobs = [new(), new(delay=10**9)]
    driver.run(store.insert(jobs))
    server.cli("DEL", "{stoker}:lines", "{stoker}:due")
    server.cli("EVAL", "return redis.call('DEL', '{stoker}:ready:default\\0t')", "0")
    driver.run(store.recover())
    census = driver.run(store.census())
    assert (census.queues[0].queued, census.queues[0].scheduled) == (1, 1)
    assert server.cli("ZCARD", "{stoker}:due") == server.cli("ZCARD", "{stoker}:lines") == "1"


def test_turns_are_not_given_to_so_many_that_the_server_would_stand_still(opened, monkeypatch):
    monkeypatch.setattr("stoker.stores.redis.plans._TURNED", 2)
    store, driver = opened
    for _ in range(3):
        insert(opened)
    with pytest.raises(
        InvalidOption, match="'default' has 3 queued jobs; on Redis turns are given or taken only while"
    ):
        driver.run(store.limit("default", QueueLimit(concurrency=5, fair=Fair.OWNER)))
    driver.run(store.limit("default", QueueLimit(concurrency=5)))
    [queue] = driver.run(store.census()).queues
    assert queue.limit == QueueLimit(concurrency=5)
    driver.run(store.limit("empty", QueueLimit(fair=Fair.OWNER)))
