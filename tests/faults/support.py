"""A store in a folder, the processes around it, and their end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

import places
from faults.history import History, record
from stoker import Stoker, StoreUnavailable, clock
from stoker.clock import IdSource
from stoker.connect import connect
from stoker.job import FINAL, Job, NewJob
from stoker.store import Filter, Page

T = TypeVar("T")

TESTS = Path(__file__).parents[1]
LEASE = 2.0
"""seconds, of workers that are to lose it: a busy machine may take it from any that lives on it"""
STEADY = 60.0
"""seconds, of all others: however long they do not get the CPU, their jobs stay theirs"""
PATIENCE = 60.0
"""seconds before a condition that should come true is given up; never what a test waits for"""

_new_ids = IdSource()

_WORK = """
import logging, os, sys, msgspec
logging.basicConfig(level="INFO", format="%(process)d %(levelname)s %(message)s")
from stoker.fleet import run_fleet
from stoker.worker.loop import WorkerOptions
options = msgspec.json.decode(sys.argv[2], type=WorkerOptions)
sys.exit(run_fleet(sys.argv[1], options, processes=int(sys.argv[3])))
"""


def until(condition: Callable[[], T], what: str = "", patience: float = PATIENCE) -> T:
    """Wait until the condition is true, and return what it returned."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"this did not come true: {what or condition}"
        time.sleep(0.02)


class Process:
    """A process that a test started."""

    def __init__(self, popen: subprocess.Popen[bytes], world: World, log: Path) -> None:
        self._popen = popen
        self._world = world
        self._log = log
        self.pid = popen.pid

    @property
    def log(self) -> str:
        """What it wrote to its standard error."""
        return self._log.read_text(errors="replace")

    @property
    def begun(self) -> bool:
        """As a worker: whether it has started."""
        return "started on" in self.log

    @property
    def output(self) -> str:
        return self._log.with_suffix(".out").read_text()

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; returns when it is dead, and says so in the history."""
        if self.alive:
            self._popen.kill()
        self._popen.wait(PATIENCE)
        record(self._world.path, "dead", victim=self.pid)

    def stall(self) -> None:
        """SIGSTOP; returns when it stands still, and not with the store's lock in hand: all would wait for it."""

        def stands() -> bool:
            self._popen.send_signal(signal.SIGSTOP)
            until(lambda: stands_still(self.pid))
            if self._world.writable():
                return True
            self.go_on()
            return False

        record(self._world.path, "stalled", victim=self.pid)
        until(stands)

    def go_on(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def terminate(self) -> int:
        """SIGTERM; returns its exit code."""
        self._popen.terminate()
        return self.wait()

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        return self._popen.wait(patience)


class World:
    """One store, one history, and every process that has to do with them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.path = folder / "history.jsonl"
        self.app = Stoker(url)
        self.enqueued: list[str] = []
        self._processes: list[Process] = []

    # --- jobs -------------------------------------------------------------------------------------------------------

    def gate(self, name: str = "gate") -> str:
        """A file that holds jobs back until `open` makes it."""
        return str(self.folder / name)

    def open(self, gate: str) -> None:
        Path(gate).touch()

    def enqueue(self, task: str, *args: Any, times: int = 1, **options: Any) -> str:
        """Enqueue a job of `faults.jobs`; returns its id (of several, the first)."""
        ids = _new_ids.take(times)
        options = {"keep_for": 3600_000_000, "max_crashes": 1000, **options}
        jobs = [NewJob(id=id, task=task, payload=json.dumps([list(args), {}]), **options) for id in ids]
        self.app.engine.run(self.app.engine.connection.store.insert(jobs))
        self.enqueued += ids
        return ids[0]

    def writable(self) -> bool:
        """Whether the store takes a write at once: on a server, a process that stands still is in nobody's way."""
        if not self.url.startswith("sqlite:"):
            return True
        store, driver = connect(with_option(self.url, "timeout=0.5"))
        try:
            driver.run(store.prune(0))
        except StoreUnavailable:
            return False
        finally:
            driver.close()
        return True

    def job(self, id: str) -> Job:
        return self.app.jobs.get(id)

    def jobs(self) -> dict[str, Job]:
        """Every record."""
        found: dict[str, Job] = {}
        before: str | None = None
        while page := self.app.engine.run(self.app.engine.connection.store.find(Filter(), Page(1000, before))):
            found |= {job.id: job for job in page}
            before = page[-1].id
        return found

    def counts(self) -> dict[str, int]:
        return self.app.jobs.count()

    def all_final(self) -> bool:
        counts = self.counts()
        return sum(counts.get(state, 0) for state in FINAL) == sum(counts.values()) >= len(set(self.enqueued))

    def ends(self, id: str) -> Job:
        """The record of a job once it has ended."""
        until(lambda: self.job(id).finished, f"{id} ends")
        return self.job(id)

    # --- leases -----------------------------------------------------------------------------------------------------

    def lapse(self, pid: int) -> None:
        """Have the lease of a dead worker run out now, so that the next one to look gives its jobs back.

        Workers that are killed hold a long lease up to then, and lose nothing before their time.
        """
        for worker in self.app.workers.list():
            if worker.pid == pid:
                self.app.engine.run(self.app.engine.connection.store.heartbeat(worker.id, (), 1))

    def outlast(self, pid: int) -> None:
        """Wait until the lease of a worker that stands still has run out."""

        def over() -> bool:
            return all(clock.now() > worker.lease_until for worker in self.app.workers.list() if worker.pid == pid)

        until(over, "its lease runs out")

    # --- history ----------------------------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        return History(self.path)

    def happened(self, event: str, job: str | None = None, times: int = 1) -> bool:
        return len(self.history.of(event, job=job)) >= times

    def starts(self, job: str, times: int = 1) -> None:
        """Wait until a job's code has started, that many times."""
        until(lambda: self.happened("started", job, times), f"{job} starts {times} times")

    def check(self, *, final: bool = True) -> dict[str, Job]:
        """Hold the history against the guarantees; returns the records."""
        jobs = self.jobs()
        problems = self.history.problems(jobs, self.enqueued, final=final)
        assert not problems, "\n".join(problems[:20]) + "\n" + self.logs()
        return jobs

    def logs(self) -> str:
        return "\n".join(f"--- {process.pid}\n{process.log[-3000:]}" for process in self._processes)

    # --- processes --------------------------------------------------------------------------------------------------

    def environment(self, fault: dict[str, Any] | None = None, **more: str) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("STOKER_", "PYTEST_"))}
        plain |= {"STOKER_URL": self.url, "STOKER_TEST_HISTORY": str(self.path), **more}
        plain["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        if fault is not None:
            plain["STOKER_TEST_FAULT"] = json.dumps({"once": str(self.folder / "struck"), **fault})
        return plain

    @property
    def struck(self) -> bool:
        return (self.folder / "struck").exists()

    def start(self, *command: str, fault: dict[str, Any] | None = None, **more: str) -> Process:
        """Start a Python process in this world."""
        log = self.folder / f"{len(self._processes)}.log"
        with log.open("ab") as stderr, log.with_suffix(".out").open("ab") as stdout:
            popen = subprocess.Popen(
                [sys.executable, *command],
                env=self.environment(fault, **more),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        process = Process(popen, self, log)
        self._processes.append(process)
        return process

    def run(self, code: str, *args: str, **more: Any) -> str:
        """Run a script to its end; what it printed. It must end well."""
        process = self.start("-c", code, *args, **more)
        assert process.wait(3 * PATIENCE) == 0, process.log  # a script may start many processes
        return process.output

    def start_worker(
        self,
        target: str = "faults.jobs:app",
        *,
        processes: int = 1,
        fault: dict[str, Any] | None = None,
        ready: bool = True,
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> Process:
        """Start a worker, or a fleet. The one place that knows the command."""
        options = {"concurrency": 8, "lease": STEADY, "grace": 1.0, **options}
        process = self.start("-c", _WORK, target, json.dumps(options), str(processes), fault=fault, **environment or {})
        if ready:
            until(lambda: process.begun or not process.alive, "the worker starts")
            assert process.alive, process.log
        return process

    def members(self) -> Sequence[int]:
        """The pids of every living process of this world, those included that its processes started."""
        mark = f"STOKER_TEST_HISTORY={self.path}".encode()
        return [pid for pid in living() if mark in environment_of(pid).split(b"\0")]

    def end(self) -> None:
        """End every process of this world."""
        for process in self._processes:
            if process.alive:
                process._popen.kill()
                process._popen.wait(PATIENCE)
        deadline = time.monotonic() + 10
        while (left := self.members()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            with_pid(pid, signal.SIGKILL)
        self.app.close()


# --- processes as the system sees them ------------------------------------------------------------------------------


def living() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and state_of(int(name)) not in ("", "Z", "X")]


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (OSError, IndexError):
        return ""


def stands_still(pid: int) -> bool:
    return state_of(pid) == "T"


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def children_of(pid: int) -> list[int]:
    found = []
    for one in living():
        try:
            parent = int(Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found.append(one)
    return found


def with_pid(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


# --- fixtures -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite-full", "postgres", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    """Which store: a name of `places`. A test may ask for others by `parametrize(…, indirect=True)`."""
    return request.param


@pytest.fixture
def world(store: str, tmp_path: Path) -> Iterator[World]:
    with places.fresh(store, tmp_path) as url, closing_world(tmp_path, url) as made:
        yield made


@contextmanager
def closing_world(folder: Path, url: str) -> Iterator[World]:
    """A world whose processes are ended, whatever happens."""
    made = World(folder, url)
    try:
        yield made
    finally:
        made.end()


def with_option(url: str, option: str) -> str:
    """The URL with one option more."""
    return f"{url}{'&' if '?' in url else '?'}{option}"


on_sqlite = pytest.mark.parametrize("store", ["sqlite-full"], indirect=True)
"""For what has to do with workers alone, whatever the store."""

both_settings = pytest.mark.parametrize("store", ["sqlite-full", "sqlite-normal", "postgres", "redis"], indirect=True)
"""Of SQLite: the two settings commit in different threads."""
