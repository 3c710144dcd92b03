"""Jobs that do what nobody should: the worker goes on, and the record says what happened."""

from __future__ import annotations

import pytest

from faults.support import World, on_sqlite, until
from stoker.job import State

pytestmark = on_sqlite

FAILS = {
    "exit": ("SystemExit", "7"),
    "interrupt": ("KeyboardInterrupt", ""),
    "recursion": ("RecursionError", "recursion"),
    "broken": ("faults.jobs.Broken", "could not be made"),
    "hopeless": ("faults.jobs.Hopeless", "could not be made"),
    "million": ("ValueError", "left out"),
    "surrogate": ("ValueError", "ud800"),
    "object": ("stoker.errors.InvalidArguments", "cannot be kept"),
    "surrogate_result": ("stoker.errors.InvalidArguments", ""),
    "huge_result": ("stoker.errors.PayloadTooLarge", ""),
    "group": ("BaseExceptionGroup", "several"),
    "generator_exit": ("GeneratorExit", ""),
    "unpicklable": ("", "odd"),
    "far_snooze": ("stoker.errors.InvalidOption", "seconds"),
    "far_retry": ("stoker.errors.InvalidOption", "seconds"),
}


@pytest.mark.parametrize("task", ["misbehave", "misbehave_in_thread", "misbehave_in_process"])
def test_a_job_that_misbehaves_fails_and_nothing_else_does(world: World, task: str):
    ids = {kind: world.enqueue(task, kind) for kind in FAILS}
    others = {kind: world.enqueue(task, kind) for kind in ("progress", "cancel_surrogate", "stop_iteration", "nan")}
    worker = world.start_worker()
    beside = [world.enqueue("quick") for _ in range(5)]
    until(world.all_final, "everything ends")
    for kind, id in ids.items():
        job = world.job(id)
        assert (job.state, job.attempt, job.crashes) == (State.FAILED, 1, 0), (kind, job)
        type_, message = FAILS[kind]
        [failure] = job.errors
        assert type_ in failure.type, (kind, failure)
        assert message in failure.message, (kind, failure)
        assert len(failure.message) < 10_000, kind
        assert len(failure.traceback or "") < 100_000, kind
    assert world.job(others["progress"]).state is State.COMPLETED
    assert world.job(others["cancel_surrogate"]).state is State.CANCELLED
    assert all(world.job(id).finished for id in others.values())
    assert all(world.job(id).state is State.COMPLETED for id in beside)
    assert worker.alive
    assert world.ends(world.enqueue("quick")).state is State.COMPLETED
    assert worker.terminate() == 0, worker.log
    world.check()
