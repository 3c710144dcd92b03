"""Readers of a SQLite file wait for whoever keeps even them out, as the first process after a crash does."""

import asyncio
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from stoker.drivers.sqlite import SqliteDriver
from stoker.errors import StoreUnavailable
from stoker.plan import Plan, Statement
from stoker.stores.sqlite import SqliteStore

PLENTY = 60.0


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "jobs.db")
    driver = SqliteDriver(path)
    driver.run(SqliteStore().migrate())
    driver.close()
    return path


RECOVERING = """
import fcntl, sys
with open(sys.argv[1] + "-shm", "r+b") as index:
    for lock in (120, 122):  # to write, and to recover: see "WAL Locks" in SQLite's "WAL-mode File Format"
        fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, lock)
    index.write(bytes(96))  # as after a crash: both copies of the header are void
    index.flush()
    print("recovering", flush=True)
    sys.stdin.read()
"""


@contextmanager
def recovered(path):
    """Another process has begun to recover the log, which keeps everybody else out."""
    with subprocess.Popen(
        [sys.executable, "-c", RECOVERING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"recovering\n"
            yield
        finally:
            process.stdin.close()
            process.wait(PLENTY)


def count(tried):
    """How many tables there are; `tried` is set with the first try."""

    def steps():
        tried.set()
        reply = yield Statement("SELECT count(*) FROM sqlite_master")
        return reply.rows[0][0]

    return Plan(steps, name="count", writes=False, wakes=False)


@pytest.mark.parametrize("way", ["run", "arun", "ask"])
def test_a_reader_waits_while_another_process_recovers_the_log(path, way):
    driver = SqliteDriver(path, timeout=PLENTY)
    driver.run(count(threading.Event()))  # so that its connection is open
    ways = {
        "run": driver.run,
        "arun": lambda plan: asyncio.run(driver.arun(plan)),
        "ask": lambda plan: asyncio.run(driver.ask(plan, PLENTY)),
    }
    tried, seen = threading.Event(), []
    with recovered(path):
        reader = threading.Thread(target=lambda: seen.append(ways[way](count(tried))))
        reader.start()
        assert tried.wait(PLENTY)
        reader.join(0.05)
        assert seen == []
    reader.join(PLENTY)
    assert len(seen) == 1
    assert seen[0] > 3
    driver.close()


def test_a_reader_does_not_wait_for_ever(path):
    driver = SqliteDriver(path, timeout=0.05)
    driver.run(count(threading.Event()))
    with recovered(path), pytest.raises(StoreUnavailable, match="another process has kept it locked for too long"):
        driver.run(count(threading.Event()))
    assert driver.run(count(threading.Event())) > 3
    driver.close()
