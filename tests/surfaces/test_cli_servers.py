"""The command on stores that are servers: not there yet, not ours, too old, and what `doctor` says of them."""

from __future__ import annotations

import pytest
from servers import PostgresServer, RedisServer

import places

SECRET = "s3cret-pässword"


@pytest.fixture(params=["postgres", "redis"])
def kind(request):
    return request.param


@pytest.fixture
def absent(kind):
    """A server that is not running."""
    server = PostgresServer() if kind == "postgres" else RedisServer()
    yield server
    server.close()


@pytest.fixture
def url(kind, absent):
    return absent.url


def test_an_absent_server_is_named(shop, kind, absent):
    for command in (["worker", "--drain"], ["enqueue", "resize", "a"], ["jobs", "list"], ["stats"], ["migrate"]):
        done = shop.run(*command)
        assert done.code == 1, (command, done)
        assert f"127.0.0.1:{absent.port}" in done.err
        assert "Traceback" not in done.err
        assert done.out == ""


def test_doctor_says_that_the_server_is_absent(shop, absent):
    done = shop.run("doctor", "--json")
    assert done.code == 1
    assert any(check["status"] == "problem" for check in done.json["checks"])
    assert str(absent.port) in done.out


def test_a_worker_waits_for_its_server(shop, absent):
    worker = shop.spawn("worker", "--drain", "--wait")
    try:
        assert b"waiting for it" in worker.stderr.readline()
        assert worker.poll() is None
        absent.start()
        shop.enqueue("resize", "a")
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == 0, err
        assert b"Traceback" not in err
    finally:
        worker.kill()
        worker.communicate()
    shop.drain()
    assert set(shop.states().values()) == {"completed"}


def test_a_worker_that_waits_can_be_stopped(shop, absent):
    worker = shop.spawn("worker", "--wait")
    assert b"waiting for it" in worker.stderr.readline()
    worker.terminate()
    _, err = worker.communicate(timeout=30)
    assert b"Traceback" not in err
    assert worker.returncode != 0


def test_a_password_is_never_shown(shop, kind, monkeypatch):
    if kind == "postgres":
        server = places.started(lambda: PostgresServer())
        server.sql(f"CREATE ROLE app LOGIN PASSWORD '{SECRET}'")
        server.demand_passwords()
        wrong = f"postgresql://app:wr0ng-{SECRET}@127.0.0.1:{server.port}/postgres"
    else:
        server = places.started(lambda: RedisServer(requirepass=SECRET))
        wrong = f"redis://:wr0ng-{SECRET}@127.0.0.1:{server.port}/0"
    try:
        monkeypatch.delenv("STOKER_APP")
        for command in (["jobs", "list"], ["doctor"], ["stats"], ["migrate"]):
            done = shop.run(*command, "--url", wrong)
            assert done.code != 0, (command, done)
            assert "password" in done.out + done.err
            assert SECRET not in done.out + done.err
            assert "Traceback" not in done.err
    finally:
        server.close()


def test_doctor_is_content_with_a_good_server(shop, kind, absent):
    absent.start()
    shop.drain()
    done = shop.run("doctor", "--json")
    assert done.code == 0, done.out
    text = done.out
    assert ("synchronous_commit" if kind == "postgres" else "appendonly") in text


def test_migrations_are_printed_for_those_who_apply_them_by_hand(shop, kind, absent):
    if kind == "redis":
        pytest.skip("Redis has no schema")
    absent.start()
    done = shop.ok("migrate", "--sql")
    assert "CREATE TABLE" in done.out
    (shop.folder / "all.sql").write_text(done.out)
    absent.sql(done.out)
    assert shop.ok("migrate", "--json").json["applied"] == [], "there is nothing left to do"
    shop.enqueue("resize", "a")
    shop.drain()
    assert set(shop.states().values()) == {"completed"}
