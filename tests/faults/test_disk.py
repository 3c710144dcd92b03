"""The file that jobs live in is full, locked, read-only, damaged or too new: nothing is lost, and messages say so."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.support import LEASE, World, until, with_option
from stoker import StoreBroken, StoreUnavailable
from stoker.job import State

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: mounts, capabilities, /proc")


@pytest.fixture(params=["sqlite-full"])
def store(request: pytest.FixtureRequest) -> str:
    """Disks and files are SQLite's alone."""
    return request.param


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Another program keeps the file to itself."""
    world.counts()
    other = sqlite3.connect(world.folder / "jobs.db", isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


# --- full -----------------------------------------------------------------------------------------------------------

LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if LIBC.mount(b"none", str(disk).encode(), b"tmpfs", 0, b"size=16m") != 0:
        pytest.skip(f"a small disk cannot be mounted here: {os.strerror(ctypes.get_errno())}; run this as root")
    try:
        yield disk
    finally:
        assert LIBC.umount2(str(disk).encode(), 2) == 0


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return filler


@pytest.fixture
def cramped(small_disk: Path, tmp_path: Path, store: str) -> Iterator[World]:
    """Its database on the small disk, its history and logs elsewhere."""
    made = World(tmp_path, f"sqlite:///{small_disk}/jobs.db?synchronous={store.removeprefix('sqlite-')}")
    try:
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("store", ["sqlite-full", "sqlite-normal"], indirect=True)
def test_a_full_disk_keeps_outcomes_until_there_is_room(cramped: World, small_disk: Path):
    world = cramped
    ids = [world.enqueue("big", world.gate()) for _ in range(4)]
    worker = world.start_worker(lease=60.0)
    for id in ids:
        world.starts(id)
    filler = fill(small_disk)
    world.open(world.gate())
    until(lambda: "the store does not answer" in worker.log, "the worker meets the full disk")
    until(lambda: len(world.history.of("ended")) == 4)
    assert "the disk is full" in worker.log
    with pytest.raises(StoreUnavailable, match="the disk is full; nothing of this call was written"):
        for _ in range(1000):
            world.enqueue("quick", 0, meta='"' + "x" * 100_000 + '"')
    there = len(world.enqueued)
    assert worker.alive
    filler.unlink()
    for id in ids:
        record = world.ends(id)
        assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 1, 0)
    until(world.all_final)
    assert "the store answers again" in worker.log
    assert worker.log.count("Traceback") == 0
    assert worker.terminate() == 0, worker.log
    assert len(world.check()) == there


def test_a_full_disk_for_longer_than_the_lease(cramped: World, small_disk: Path):
    world = cramped
    ids = [world.enqueue("big", world.gate()) for _ in range(4)]
    running = world.enqueue("hold", world.gate("later"))
    worker = world.start_worker(lease=LEASE)
    for id in (*ids, running):
        world.starts(id)
    filler = fill(small_disk)
    world.open(world.gate())
    until(lambda: worker.log.count("the store does not answer") >= 5, "the worker tries again and again")
    assert worker.alive
    filler.unlink()
    world.open(world.gate("later"))
    for id in (*ids, running):
        assert world.ends(id).state is State.COMPLETED
    assert worker.terminate() == 0, worker.log
    world.check()


def test_a_worker_that_is_told_to_stop_while_the_disk_is_full(cramped: World, small_disk: Path):
    """It cannot give anything back; it waits for room rather than to lose what was done."""
    world = cramped
    ids = [world.enqueue("big", world.gate()) for _ in range(4)]
    worker = world.start_worker(lease=60.0)
    for id in ids:
        world.starts(id)
    filler = fill(small_disk)
    world.open(world.gate())
    until(lambda: "the store does not answer" in worker.log)
    until(lambda: len(world.history.of("ended")) == 4)
    import signal

    worker.signal(signal.SIGTERM)
    until(lambda: "is stopping" in worker.log)
    filler.unlink()
    assert worker.wait() == 0, worker.log
    for id in ids:
        record = world.job(id)
        assert (record.state, record.attempt) == (State.COMPLETED, 1)
    world.check()


def test_a_limit_on_the_size_of_files_loses_nothing_that_was_promised(world: World):
    code = """
import resource, sys
from faults.jobs import app, quick
from stoker import StoreUnavailable
quick.enqueue()
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
promised = 1
try:
    for _ in range(1000):
        quick.using(meta="x" * 50_000).enqueue()
        promised += 1
except StoreUnavailable as error:
    assert "nothing of this call was written" in str(error), error
else:
    raise AssertionError("there was no limit")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
quick.enqueue()
print(promised + 1)
app.close()
"""
    promised = int(world.run(code))
    world.start_worker()
    until(lambda: world.counts() == {"completed": promised})
    world.check()


# --- locked ---------------------------------------------------------------------------------------------------------


def test_a_locked_file_is_waited_for(world: World):
    job = world.enqueue("hold", world.gate())
    worker = world.start_worker(lease=60.0)
    world.starts(job)
    with locked(world):
        world.open(world.gate())
        until(lambda: world.happened("ended", job))
        app = world.start("-m", "faults.jobs", "enqueue", "quick", "[]", "{}")
        starting = world.start_worker(ready=False)
        assert worker.alive
    assert app.wait() == 0, app.log
    assert world.ends(job).state is State.COMPLETED
    until(world.all_final)
    until(lambda: starting.begun)
    assert "does not answer" not in worker.log
    world.check()


def test_a_file_that_is_locked_past_the_timeout(world: World):
    world.url = with_option(world.url, "timeout=0.5")
    job = world.enqueue("hold", world.gate())
    worker = world.start_worker(lease=LEASE)
    world.starts(job)
    with locked(world):
        world.open(world.gate())
        app = world.start("-m", "faults.jobs", "enqueue", "quick", "[]", "{}")
        assert app.wait() == 1
        assert "StoreUnavailable" in app.log
        assert "another process has kept it locked for too long" in app.log
        late = world.start_worker(ready=False)
        until(lambda: worker.log.count("the store does not answer") >= 3)
        assert worker.alive
        until(lambda: "lost its lease" in worker.log, "it gives up by its own clock")
    if not late.alive:  # it could not begin, and said why
        assert "locked for too long" in late.log
    assert world.ends(job).state is State.COMPLETED
    assert world.ends(world.enqueue("quick")).state is State.COMPLETED
    assert worker.terminate() == 0, worker.log
    world.check()


# --- unusable -------------------------------------------------------------------------------------------------------


def refuses(world: World, kind: str, *messages: str) -> None:
    """App and worker say what is wrong, at once, and change nothing."""
    before = (world.folder / "jobs.db").read_bytes()
    app = world.start("-m", "faults.jobs", "enqueue", "quick", "[]", "{}", STOKER_TEST_UNPRIVILEGED="1")
    assert app.wait() == 1, app.log
    assert kind in app.log
    worker = world.start_worker(ready=False, environment={"STOKER_TEST_UNPRIVILEGED": "1"})
    assert worker.wait() == 1, worker.log
    for log in (app.log, worker.log):
        assert any(message in log for message in messages), log
    assert "Traceback" not in worker.log
    assert (world.folder / "jobs.db").read_bytes() == before


def test_a_read_only_file(world: World):
    world.enqueue("quick")
    world.app.close()
    (world.folder / "jobs.db").chmod(0o444)
    refuses(world, "StoreUnavailable", "read-only")
    (world.folder / "jobs.db").chmod(0o644)
    _works_again(world)


def test_a_read_only_folder(world: World):
    world.enqueue("quick")
    world.app.close()
    disk = world.folder / "closed"
    disk.mkdir()
    (world.folder / "jobs.db").rename(disk / "jobs.db")
    (world.folder / "jobs.db").symlink_to(disk / "jobs.db")
    (disk / "jobs.db").chmod(0o444)
    disk.chmod(0o555)
    refuses(world, "StoreUnavailable", "read-only", "may we write there")
    disk.chmod(0o755)
    (disk / "jobs.db").chmod(0o644)
    _works_again(world)


def _works_again(world: World) -> None:
    from stoker import Stoker

    world.app = Stoker(world.url)
    world.start_worker()
    until(world.all_final)
    world.check()


def test_a_file_that_is_no_database(world: World):
    (world.folder / "jobs.db").write_bytes(b"this is no database, whatever its name says" * 100)
    refuses(world, "StoreBroken", "the file is not a SQLite database")
    with pytest.raises(StoreBroken, match="not a SQLite database"):
        world.enqueue("quick")


def test_a_damaged_file(world: World):
    world.enqueue("quick", times=500)
    world.app.close()
    path = world.folder / "jobs.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    refuses(world, "StoreBroken", "the file is damaged; restore it from a backup")


def test_a_table_that_is_gone_for_a_while_does_not_crash_a_worker(world: World):
    """What was done is kept in memory, and settled once it can be."""
    job = world.enqueue("hold", world.gate())
    worker = world.start_worker(lease=60.0)
    world.starts(job)
    renamed(world, "stoker_jobs", "elsewhere")
    world.open(world.gate())
    until(lambda: worker.log.count("the store does not answer") >= 3)
    assert worker.alive
    renamed(world, "elsewhere", "stoker_jobs")
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 1, 0)
    assert worker.terminate() == 0, worker.log
    world.check()


def renamed(world: World, old: str, new: str) -> None:
    other = sqlite3.connect(world.folder / "jobs.db", isolation_level=None, timeout=60)
    other.execute(f"ALTER TABLE {old} RENAME TO {new}")
    other.close()


def test_a_database_of_a_newer_version(world: World):
    world.enqueue("quick")
    world.app.close()
    path = world.folder / "jobs.db"
    other = sqlite3.connect(path)
    with other:
        [[version]] = other.execute("SELECT value FROM stoker_meta WHERE name = 'schema'").fetchall()
        other.execute("UPDATE stoker_meta SET value = '99' WHERE name = 'schema'")
    other.close()
    refuses(world, "StoreBroken", "newer version of Stoker (schema 99")
    other = sqlite3.connect(path)
    with other:
        other.execute("UPDATE stoker_meta SET value = ? WHERE name = 'schema'", [version])
    other.close()
    _works_again(world)
