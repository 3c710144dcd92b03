"""A process dies between a tick's coming due and its being enqueued, or after it and before anybody knows."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from itertools import pairwise

import pytest

from faults.support import World, both_settings, until
from stoker import Stoker

EVERY = 0.3


def add(world: World, **options) -> None:
    """A schedule whose every tick counts, so that one that is missing is seen."""
    world.app.task(lambda: None, name="quick")
    world.app.schedules.add(f"every {EVERY} seconds", "quick", name="pulse", misfire="all", **options)


def ticks(world: World) -> list:
    return sorted(job.run_at for job in world.jobs().values() if job.schedule == "pulse")


def hold(world: World) -> None:
    """Every tick from the first to the last made one job."""
    found = ticks(world)
    assert all(later - earlier == timedelta(seconds=EVERY) for earlier, later in pairwise(found)), found


@both_settings
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_beside_the_write_of_a_tick(world: World, when: str):
    add(world)
    victim = world.start_worker(fault={"plan": "put", "when": when, "nth": 3}, ready=False)
    assert victim.wait() == -signal.SIGKILL
    world.lapse(victim.pid)  # it may have held jobs
    left = len(ticks(world))
    assert [run.tick for run in world.app.schedules.get("pulse").runs] == ticks(world)[-20:]  # both or neither
    world.start_worker()
    until(lambda: len(ticks(world)) >= left + 5, "the others go on")
    world.app.schedules.pause("pulse")
    until(world.all_final)
    hold(world)


@both_settings
def test_killed_between_a_look_and_the_write(world: World):
    """What was due when it died is enqueued by whoever looks next."""
    add(world)
    victim = world.start_worker(fault={"plan": "due", "when": "after", "nth": 4}, ready=False)
    assert victim.wait() == -signal.SIGKILL
    before = ticks(world)
    world.start_worker()
    until(lambda: len(ticks(world)) >= len(before) + 5, "the others go on")
    world.app.schedules.pause("pulse")
    hold(world)


@both_settings
def test_killed_again_and_again(world: World):
    add(world)
    deadline = time.monotonic() + 8
    members = [world.start_worker(ready=False) for _ in range(3)]
    while time.monotonic() < deadline:
        time.sleep(0.4)
        victim = members.pop(0)
        victim.kill()
        members.append(world.start_worker(ready=False))
    until(lambda: len(ticks(world)) >= 25, "it went on all the while")
    world.app.schedules.pause("pulse")
    hold(world)


@both_settings
def test_a_scheduler_that_stood_still_does_no_harm(world: World):
    """It wakes up with a decision that others have made long since."""
    add(world)
    sleeper = world.start_worker()
    until(lambda: len(ticks(world)) >= 2)
    sleeper.stall()
    world.start_worker()
    until(lambda: len(ticks(world)) >= 8)
    sleeper.go_on()
    until(lambda: len(ticks(world)) >= 15)
    world.app.schedules.pause("pulse")
    hold(world)


@pytest.mark.parametrize("store", ["postgres", "redis"], indirect=True)
def test_a_scheduler_alone_waits_for_a_store_that_is_not_there(world: World, tmp_path):
    """And says so, without end and without harm."""
    code = """
import logging, sys
logging.basicConfig(level="INFO")
from stoker.member import Parts, run_member
from stoker.worker.loop import WorkerOptions
sys.exit(run_member("faults.jobs:app", WorkerOptions(), parts=Parts(worker=False)))
"""
    kind = "postgresql://nobody@127.0.0.1:1/none" if world.url.startswith("postgres") else "redis://127.0.0.1:1/0"
    alone = world.start("-c", code, STOKER_URL=kind)
    until(lambda: "does not answer" in alone.log, "it says that there is no store")
    assert alone.alive
    assert alone.terminate() == 0
    assert "Traceback" not in alone.log


def test_a_scheduler_that_dies_takes_its_process_with_it(world: World):
    """Loudly: a process that does half its work looks healthy and is not."""
    add(world)
    code = """
import logging, sys
logging.basicConfig(level="INFO")
from stoker.member import run_member
from stoker.scheduler import Scheduler
from stoker.worker.loop import WorkerOptions

def explode(*_):
    raise SystemExit("a bug")

Scheduler._look = explode
sys.exit(run_member("faults.jobs:app", WorkerOptions()))
"""
    process = world.start("-c", code)
    assert process.wait() == 1
    assert "the scheduler died" in process.log
    assert "a bug" in process.log


def test_two_schedulers_and_a_removed_schedule(world: World):
    """What was removed while others decide about it stays removed."""
    add(world)
    for _ in range(2):
        world.start_worker()
    until(lambda: len(ticks(world)) >= 3)
    world.app.schedules.remove("pulse")
    before = ticks(world)
    time.sleep(3 * EVERY)
    assert ticks(world) == before
    with Stoker(world.url) as app:
        assert app.schedules.list() == []
