"""SIGTERM in every phase: what is done within the grace is done, the rest goes back at once, and nothing is charged."""

from __future__ import annotations

import signal

import pytest

from faults.support import World, children_of, until
from stoker.job import Job, State

HOLDS = ("hold", "hold_in_thread", "hold_in_process")


def untouched(job: Job) -> bool:
    return (job.state, job.attempt, job.crashes) == (State.QUEUED, 0, 0)


def leaves_nothing(world: World, *jobs: str) -> None:
    """No job is held, no worker is known, no process is left."""
    for job in jobs:
        assert untouched(world.job(job)), world.job(job)
    assert world.counts().get("processing", 0) == 0
    assert world.app.workers.list() == []
    until(lambda: not world.members(), "every process ends")


def test_idle(world: World):
    worker = world.start_worker()
    assert worker.terminate() == 0, worker.log
    leaves_nothing(world)


def test_interrupt_from_the_keyboard(world: World):
    worker = world.start_worker()
    worker.signal(signal.SIGINT)
    assert worker.wait() == 0, worker.log
    leaves_nothing(world)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("having", [None, "claims", "outcomes"])
def test_while_it_claims_or_settles(world: World, when: str, having: str | None):
    if (when, having) == ("before", "claims"):
        having = None
    ids = [world.enqueue("quick") for _ in range(10)]
    worker = world.start_worker(
        fault={"plan": "exchange", "when": when, "having": having, "signal": "SIGTERM"}, ready=False
    )
    assert worker.wait() == 0, worker.log
    assert world.struck
    for id in ids:
        job = world.job(id)
        assert job.state is State.COMPLETED or untouched(job), job
    assert world.app.workers.list() == []
    world.start_worker()
    until(world.all_final)
    assert all(job.attempt == 1 for job in world.check().values())


@pytest.mark.parametrize("task", HOLDS)
def test_jobs_that_end_within_the_grace_are_done(world: World, task: str):
    job = world.enqueue(task, world.gate())
    worker = world.start_worker(grace=3600.0)
    world.starts(job)
    waiting = world.enqueue("quick", queue="default")
    world.ends(waiting)
    worker.signal(signal.SIGTERM)
    until(lambda: "is stopping" in worker.log)
    late = world.enqueue("quick")
    world.open(world.gate())
    assert worker.wait() == 0, worker.log
    assert (world.job(job).state, world.job(job).attempt) == (State.COMPLETED, 1)
    leaves_nothing(world, late)
    world.check(final=False)


@pytest.mark.parametrize("task", HOLDS)
def test_jobs_that_do_not_end_within_the_grace_go_back_uncharged(world: World, task: str):
    """A job of one attempt survives a deploy."""
    job = world.enqueue(task, world.gate(), max_attempts=1, max_crashes=1)
    worker = world.start_worker(grace=0.2)
    world.starts(job)
    assert worker.terminate() == 0, worker.log
    leaves_nothing(world, job)
    world.start_worker()
    world.starts(job, 2)
    world.open(world.gate())
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 1, 0)
    world.check()


@pytest.mark.parametrize(("task", "args"), [("hold_in_thread", [True]), ("hold_in_process", [True])])
def test_jobs_that_ignore_the_order_go_back_too(world: World, task: str, args: list):
    job = world.enqueue(task, world.gate(), *args)
    worker = world.start_worker(grace=0.2)
    world.starts(job)
    assert worker.terminate() == 0, worker.log
    leaves_nothing(world, job)
    assert world.happened("told", job)
    world.check(final=False)


def test_an_async_job_that_swallows_the_order_goes_back_too(world: World):
    job = world.enqueue("hold_stubbornly", world.gate())
    worker = world.start_worker(grace=0.2)
    world.starts(job)
    assert worker.terminate() == 0, worker.log
    assert world.happened("told", job)
    leaves_nothing(world, job)


def test_a_thread_that_a_job_left_behind_does_not_keep_the_worker_from_its_end(world: World):
    job = world.enqueue("hold_elsewhere", world.gate())
    worker = world.start_worker(grace=0.2)
    world.starts(job)
    assert worker.terminate() == 0, worker.log
    leaves_nothing(world, job)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_command(world: World, processes: str):
    """`stoker worker`, as it is typed."""
    job = world.enqueue("hold", world.gate())
    command = ("worker", "--app", "faults.jobs:app", "--processes", processes)
    worker = world.start("-m", "stoker", *command)
    world.starts(job)
    worker.signal(signal.SIGTERM)
    until(lambda: "is stopping" in worker.log)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0, worker.log
    leaves_nothing(world, job)


def test_a_second_signal_ends_the_grace_and_strands_nothing(world: World):
    ids = [world.enqueue(HOLDS[index % 3], world.gate()) for index in range(12)]
    worker = world.start_worker(grace=3600.0, concurrency=6)
    until(lambda: len(world.history.runs()) >= 5, "jobs run")
    worker.signal(signal.SIGTERM)
    until(lambda: "is stopping" in worker.log)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0, worker.log
    leaves_nothing(world, *ids)
    world.check(final=False)


def test_two_signals_at_once(world: World):
    ids = [world.enqueue("hold", world.gate()) for _ in range(12)]
    worker = world.start_worker(grace=3600.0, concurrency=6)
    until(lambda: len(world.history.runs()) == 6, "jobs run")
    for _ in range(5):  # signals of one kind may melt into one
        worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGINT)
    assert worker.wait() == 0, worker.log
    leaves_nothing(world, *ids)


def test_while_it_drains(world: World):
    job = world.enqueue("hold", world.gate())
    worker = world.start_worker(grace=0.2, drain=True)
    world.starts(job)
    assert worker.terminate() == 0, worker.log
    leaves_nothing(world, job)


@pytest.mark.parametrize("plan", ["migrate", "pending", "register"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_while_it_starts(world: World, plan: str, when: str):
    jobs = [world.enqueue("hold", world.gate())] if plan != "migrate" else []  # which a first worker does
    worker = world.start_worker(fault={"plan": plan, "when": when, "signal": "SIGTERM"}, ready=False)
    assert worker.wait() in (0, -signal.SIGTERM), worker.log
    assert world.struck
    leaves_nothing(world, *jobs)


def test_fleet_while_it_starts(world: World):
    job = world.enqueue("hold", world.gate())
    fleet = world.start_worker(processes=2, ready=False)
    until(lambda: children_of(fleet.pid), "its first child is started")
    assert fleet.terminate() in (0, -signal.SIGTERM), fleet.log
    until(lambda: not world.members(), "every process ends")
    leaves_nothing(world, job)
