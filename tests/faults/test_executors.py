"""Loop, thread and process: what a cancel does to each, and what becomes of a child process."""

from __future__ import annotations

import os
import signal
import sys

from faults.history import record as write
from faults.support import World, on_sqlite, state_of, until
from stoker.job import LONGEST_LOG, State

pytestmark = on_sqlite


def runner(world: World, job: str) -> int:
    world.starts(job)
    return world.history.runs(job)[-1].pid


def gone(pid: int) -> bool:
    return state_of(pid) in ("", "Z", "X")


def with_patience(world: World) -> str:
    """The same app, whose worker kills no process for being slow to obey."""
    (world.folder / "patient.py").write_text(
        "from faults.jobs import app\nfrom stoker.worker import processes\nprocesses.KILL_AFTER = 3600.0\n"
    )
    return "patient:app"


def test_a_killed_child_is_a_crash_and_not_the_workers(world: World):
    job = world.enqueue("hold_in_process", world.gate())
    beside = world.enqueue("hold", world.gate())
    worker = world.start_worker()
    pid = runner(world, job)
    assert pid != worker.pid
    world.starts(beside)
    write(world.path, "dead", victim=pid)
    os.kill(pid, signal.SIGKILL)
    world.starts(job, 2)
    world.open(world.gate())
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 2, 1)
    assert (world.ends(beside).attempt, world.job(beside).crashes) == (1, 0)
    assert worker.alive
    world.check()


def test_a_job_that_kills_its_child_again_and_again_fails_at_its_cap(world: World):
    job = world.enqueue("murder_in_process", 1000, max_crashes=3)
    worker = world.start_worker()
    record = world.ends(job)
    assert (record.state, record.crashes, record.attempt) == (State.FAILED, 3, 3)
    assert [failure.type for failure in record.errors] == ["crashed"]
    assert worker.alive
    world.check()


def test_a_process_that_cannot_be_started_is_no_crash(world: World):
    """The job waits, says why, and runs as soon as there can be a process for it."""
    python = world.folder / "python"
    (world.folder / "cramped.py").write_text(
        "import sys\nfrom faults.jobs import app\nfrom stoker.worker import processes\n"
        f"processes.UNSTARTED_PAUSE = 0.2\nsys.executable = {str(python)!r}\n"
    )
    job = world.enqueue("hold_in_process", world.gate("open"), max_crashes=1)
    world.open(world.gate("open"))
    worker = world.start_worker("cramped:app")
    until(lambda: world.job(job).fence >= 3, "it is tried again and again")
    assert "no process could be started for it" in (world.job(job).message or "")
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes, record.errors) == (State.COMPLETED, 1, 0, ())
    assert worker.alive
    world.check()


def test_no_child_outlives_its_worker(world: World):
    job = world.enqueue("hold_in_process", world.gate(), True)
    worker = world.start_worker()
    pid = runner(world, job)
    worker.kill()
    until(lambda: gone(pid), "the child ends")
    write(world.path, "dead", victim=pid)
    world.lapse(worker.pid)
    world.start_worker()
    world.starts(job, 2)
    world.open(world.gate())
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 2, 1)
    world.check()


def test_an_async_job_that_is_cancelled_gets_cancelled_error(world: World):
    job = world.enqueue("hold", world.gate())
    world.start_worker()
    world.starts(job)
    assert world.app.jobs.cancel(job, reason="enough") == 1
    record = world.ends(job)
    assert (record.state, record.error) == (State.CANCELLED, "enough")
    assert [run.how for run in world.history.runs(job)] == ["CancelledError"]
    world.check()


def test_a_job_in_a_thread_that_is_cancelled_sees_it(world: World):
    job = world.enqueue("hold_in_thread", world.gate())
    world.start_worker()
    world.starts(job)
    assert world.app.jobs.cancel(job) == 1
    assert world.ends(job).state is State.CANCELLED
    [told] = world.history.of("told", job=job)
    assert told.note == "cancelled"
    world.check()


def test_a_job_in_a_process_that_is_cancelled_sees_it_and_its_process_is_kept(world: World):
    job = world.enqueue("hold_in_process", world.gate())
    world.start_worker(with_patience(world))
    pid = runner(world, job)
    assert world.app.jobs.cancel(job) == 1
    assert world.ends(job).state is State.CANCELLED
    assert [run.how for run in world.history.runs(job)] == ["CancelledError"]
    after = world.enqueue("hold_in_process", world.gate())
    assert runner(world, after) == pid
    world.open(world.gate())
    assert world.ends(after).state is State.COMPLETED
    world.check()


def test_a_process_that_ignores_its_cancel_is_killed(world: World):
    job = world.enqueue("hold_in_process", world.gate(), True)
    worker = world.start_worker()
    pid = runner(world, job)
    assert world.app.jobs.cancel(job) == 1
    record = world.ends(job)
    assert (record.state, record.crashes) == (State.CANCELLED, 0)
    assert gone(pid)
    assert world.happened("told", job)
    assert [run.how for run in world.history.runs(job)] == [None]
    after = world.enqueue("quick")
    assert world.ends(after).state is State.COMPLETED
    assert worker.alive


def test_a_job_that_ignores_its_cancel_and_returns_is_completed(world: World):
    for task, args in (("hold_stubbornly", []), ("hold_in_thread", [True]), ("hold_in_process", [True])):
        gate = world.gate(task)
        job = world.enqueue(task, gate, *args)
        if task == "hold_stubbornly":
            world.start_worker(with_patience(world))
        world.starts(job)
        assert world.app.jobs.cancel(job) == 1
        until(lambda job=job: world.happened("told", job), "it is told")
        world.open(gate)
        record = world.ends(job)
        assert (record.state, record.result, record.attempt) == (State.COMPLETED, "held", 1)
    world.check()


def test_a_queued_job_that_is_cancelled_never_starts(world: World):
    blocker = world.enqueue("hold", world.gate())
    world.start_worker(concurrency=1)
    world.starts(blocker)
    job = world.enqueue("quick")
    assert world.app.jobs.cancel(job) == 1
    world.open(world.gate())
    assert world.ends(blocker).state is State.COMPLETED
    assert world.ends(world.enqueue("quick")).state is State.COMPLETED
    assert world.job(job).state is State.CANCELLED
    assert world.history.runs(job) == []
    world.check()


def test_a_cancelled_job_whose_worker_dies_ends_as_cancelled(world: World):
    job = world.enqueue("hold_stubbornly", world.gate())
    worker = world.start_worker()
    world.starts(job)
    assert world.app.jobs.cancel(job, reason="enough") == 1
    worker.kill()
    world.lapse(worker.pid)
    world.start_worker()
    record = world.ends(job)
    assert (record.state, record.error, record.crashes) == (State.CANCELLED, "enough", 1)
    assert len(world.history.runs(job)) == 1
    world.check()


def test_unknown_tasks_wait_and_are_not_harmed(world: World):
    strange = world.enqueue("of_a_newer_version", max_crashes=1)
    worker = world.start_worker()
    assert world.ends(world.enqueue("quick")).state is State.COMPLETED
    assert worker.terminate() == 0
    job = world.job(strange)
    assert (job.state, job.attempt, job.crashes, job.fence) == (State.QUEUED, 0, 0, 0)


# --- what they log ----------------------------------------------------------------------------------------------------


def narrated(world: World, job: str) -> list[tuple[int, list[str]]]:
    """Of each attempt its number and its lines, without their times."""
    logs = world.app.jobs.logs(job)
    return [(log.attempt, [line.partition(" ")[2] for line in log.text.splitlines()]) for log in logs]


def told(first: int, last: int) -> list[str]:
    return [f"INFO line {number}" for number in range(first, last)]


def test_what_a_job_logs_is_kept_wherever_it_runs(world: World):
    ids = [world.enqueue(task, 20) for task in ("narrate", "narrate_in_thread", "narrate_in_process")]
    world.start_worker()
    for id in ids:
        assert world.ends(id).state is State.COMPLETED
        assert narrated(world, id) == [(1, told(0, 20))]
    world.check()


def test_it_can_be_read_while_the_job_runs(world: World):
    ids = [world.enqueue(task, 3, world.gate()) for task in ("narrate_in_thread", "narrate_in_process")]
    world.start_worker()
    for id in ids:
        until(lambda id=id: narrated(world, id) == [(1, told(0, 3))], "it is kept")
        assert world.job(id).state is State.PROCESSING
    world.open(world.gate())
    for id in ids:
        assert world.ends(id).state is State.COMPLETED
        assert narrated(world, id) == [(1, told(0, 3))]


def test_the_last_words_of_a_process_that_is_killed_are_kept(world: World):
    job = world.enqueue("narrate_in_process", 5, "die", max_crashes=2)
    worker = world.start_worker()
    assert world.ends(job).state is State.FAILED
    assert narrated(world, job) == [(1, told(0, 5)), (2, told(0, 5))]
    assert worker.alive


def test_what_reached_the_store_outlives_the_worker(world: World):
    job = world.enqueue("narrate_in_thread", 5, world.gate())
    worker = world.start_worker()
    until(lambda: narrated(world, job) == [(1, told(0, 5))], "it is kept")
    worker.kill()
    world.lapse(worker.pid)
    world.start_worker()
    world.starts(job, 2)
    world.open(world.gate())
    assert world.ends(job).state is State.COMPLETED
    assert narrated(world, job) == [(1, told(0, 5)), (2, told(0, 5))]
    world.check()


def test_of_a_flood_the_end_is_kept(world: World):
    ids = [world.enqueue(task, 20_000) for task in ("narrate_in_thread", "narrate_in_process")]
    world.start_worker()
    for id in ids:
        assert world.ends(id).state is State.COMPLETED
        [log] = world.app.jobs.logs(id)
        assert len(log.text) <= LONGEST_LOG
        [(_, lines)] = narrated(world, id)
        assert lines[-1000:] == told(19_000, 20_000)


def test_a_job_in_a_process_does_not_wait_for_a_worker_that_is_busy(world: World):
    """The wire between them is full then. What the task says waits, and the task does not."""
    worker = world.start_worker()
    job = world.enqueue("narrate_in_process", 20_000, "", world.gate("begin"))
    world.starts(job)
    world.starts(world.enqueue("block", world.gate("blocked")))
    world.open(world.gate("begin"))
    until(lambda: world.happened("ended", job), "the task ends")
    assert world.job(job).state is State.PROCESSING, "and the worker does not know"
    world.open(world.gate("blocked"))
    assert world.ends(job).state is State.COMPLETED
    assert narrated(world, job)[0][1][-1000:] == told(19_000, 20_000)
    assert worker.alive
    world.check()
