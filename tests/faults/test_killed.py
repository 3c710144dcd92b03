"""A process dies at each arrow of a job's life. Nothing is lost, nothing runs twice at once, everything is counted."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest

from faults.support import LEASE, World, both_settings, stands_still, until
from stoker import clock
from stoker.job import State
from stoker.store import Recovered


def enqueue_as_app(world: World, task: str, args: list, options: dict, **more):
    return world.start("-m", "faults.jobs", "enqueue", task, json.dumps(args), json.dumps(options), **more)


# --- inserting ------------------------------------------------------------------------------------------------------


@both_settings
def test_app_killed_after_its_insert_committed(world: World):
    world.start_worker()
    app = enqueue_as_app(world, "quick", [], {}, fault={"plan": "insert", "when": "after"})
    assert app.wait() == -signal.SIGKILL
    until(lambda: world.counts() == {"completed": 1}, "the job that nobody told of completes")
    world.check()


def test_app_killed_before_its_insert(world: World):
    app = enqueue_as_app(world, "quick", [], {}, fault={"plan": "insert", "when": "before"})
    assert app.wait() == -signal.SIGKILL
    assert world.counts() == {}


def test_enqueue_repeated_with_the_same_key_after_the_reply_was_lost(world: World):
    options = {"key": "once", "delay": 3600}
    app = enqueue_as_app(world, "quick", [], options, fault={"plan": "insert", "when": "after"})
    assert app.wait() == -signal.SIGKILL
    [lost] = world.jobs()
    again = enqueue_as_app(world, "quick", [], options)
    assert again.wait() == 0, again.log
    assert json.loads(again.output) == [lost, False]
    assert list(world.jobs()) == [lost]


# --- working --------------------------------------------------------------------------------------------------------


@both_settings
def test_worker_killed_after_its_claim_committed(world: World):
    job = world.enqueue("quick")
    victim = world.start_worker(fault={"plan": "exchange", "when": "after", "having": "claims"}, ready=False)
    assert victim.wait() == -signal.SIGKILL
    assert world.job(job).state is State.PROCESSING
    world.lapse(victim.pid)
    world.start_worker()
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes, record.fence) == (State.COMPLETED, 2, 1, 2)
    assert len(world.history.runs(job)) == 1
    world.check()


def test_worker_killed_before_its_claim_changes_nothing(world: World):
    job = world.enqueue("quick")
    victim = world.start_worker(fault={"plan": "exchange", "when": "before"}, ready=False)
    assert victim.wait() == -signal.SIGKILL
    assert (world.job(job).state, world.job(job).fence) == (State.QUEUED, 0)
    world.start_worker()
    assert (world.ends(job).attempt, world.ends(job).crashes) == (1, 0)
    world.check()


def test_worker_killed_in_the_middle_of_a_task(world: World):
    gate = world.gate()
    job = world.enqueue("hold", gate)
    victim = world.start_worker()
    world.starts(job)
    victim.kill()
    world.lapse(victim.pid)
    world.start_worker()
    world.starts(job, 2)
    world.open(gate)
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 2, 1)
    world.check()


@both_settings
def test_worker_killed_after_the_task_ended_and_before_it_settled(world: World):
    job = world.enqueue("quick")
    victim = world.start_worker(fault={"plan": "exchange", "when": "before", "having": "outcomes"}, ready=False)
    assert victim.wait() == -signal.SIGKILL
    assert [run.how for run in world.history.runs(job)] == ["returned"]
    assert world.job(job).state is State.PROCESSING
    world.lapse(victim.pid)
    world.start_worker()
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 2, 1)
    assert [run.how for run in world.history.runs(job)] == ["returned", "returned"]
    world.check()


@both_settings
def test_worker_killed_after_its_settle_committed(world: World):
    job = world.enqueue("quick")
    victim = world.start_worker(fault={"plan": "exchange", "when": "after", "having": "outcomes"}, ready=False)
    assert victim.wait() == -signal.SIGKILL
    world.lapse(victim.pid)
    world.start_worker()
    other = world.enqueue("quick")
    world.ends(other)
    until(lambda: len(world.app.workers.list()) == 1, "the dead worker is forgotten")
    record = world.job(job)
    assert (record.state, record.attempt, record.crashes, record.fence) == (State.COMPLETED, 1, 0, 1)
    assert len(world.history.runs(job)) == 1
    world.check()


def test_worker_killed_at_its_registration_leaves_nothing_behind(world: World):
    victim = world.start_worker(fault={"plan": "migrate", "when": "after"}, ready=False)
    assert victim.wait() == -signal.SIGKILL
    job = world.enqueue("quick")
    world.start_worker()
    assert world.ends(job).crashes == 0
    world.check()


# --- stalling -------------------------------------------------------------------------------------------------------


def taken_over(world: World, job: str) -> None:
    until(lambda: world.happened("started", job, 2), "another worker takes over")


def test_stalled_worker_loses_its_lease_is_told_to_stop_and_its_settle_is_refused(world: World):
    gate = world.gate()
    job = world.enqueue("hold", gate)
    stalled = world.start_worker(lease=LEASE)
    world.starts(job)
    stalled.stall()
    world.outlast(stalled.pid)
    other = world.start_worker()
    taken_over(world, job)
    stalled.go_on()
    until(lambda: any(run.how == "CancelledError" for run in world.history.runs(job)), "the stalled run is told")
    assert "lost its lease" in stalled.log
    world.open(gate)
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes, record.fence) == (State.COMPLETED, 2, 1, 2)
    [winner] = [run for run in world.history.runs(job) if run.how == "returned"]
    assert winner.pid == other.pid
    # It begins anew under another name, and works.
    other.kill()
    after = world.enqueue("quick")
    assert world.ends(after).state is State.COMPLETED
    assert [run.pid for run in world.history.runs(after)] == [stalled.pid]
    world.check()


@both_settings
def test_a_settle_sent_after_the_lease_was_lost_is_refused(world: World):
    """The worker stands still with its outcome in hand; meanwhile another one runs the job anew."""
    job = world.enqueue("quick", 0.5)
    stalled = world.start_worker(
        fault={"plan": "exchange", "when": "before", "having": "outcomes", "signal": "SIGSTOP"},
        ready=False,
        lease=LEASE,
    )
    until(lambda: world.struck, "it stands still")
    world.outlast(stalled.pid)
    other = world.start_worker()
    assert world.ends(job).state is State.COMPLETED
    until(lambda: world.happened("settled"), "its worker hears that it is settled")
    before = world.job(job)
    stalled.go_on()
    until(lambda: world.happened("refused"), "the late settle is refused")
    assert world.job(job) == before
    [settled] = world.history.of("settled")
    assert settled.pid == other.pid
    [refused] = world.history.of("refused")
    assert refused.pid == stalled.pid
    world.check()


@both_settings
@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_late_settle_does_not_end_the_run_of_another_worker(world: World, how: str):
    """By id and state alone it would: the job is processing, only not here."""
    job = world.enqueue("hold_again", world.gate(), how)
    stalled = world.start_worker(
        fault={"plan": "exchange", "when": "before", "having": "outcomes", "signal": "SIGSTOP"},
        ready=False,
        lease=LEASE,
    )
    until(lambda: world.struck, "it stands still")
    world.outlast(stalled.pid)
    other = world.start_worker()
    world.starts(job, 2)
    stalled.go_on()
    until(lambda: world.happened("refused") or world.happened("settled"), "the late settle is answered")
    assert not world.happened("settled")
    record = world.job(job)
    assert (record.state, record.attempt, record.errors) == (State.PROCESSING, 2, ())
    world.open(world.gate())
    record = world.ends(job)
    assert (record.state, record.result, record.crashes) == (State.COMPLETED, "again", 1)
    until(lambda: world.happened("settled"), "its worker hears that it is settled")
    [settled] = world.history.of("settled")
    assert settled.pid == other.pid
    world.check()


def test_a_worker_whose_lease_is_over_claims_nothing(world: World):
    """It stands still on its way to a claim, and nobody is there to recover anything."""
    stalled = world.start_worker(
        fault={"plan": "exchange", "when": "before", "signal": "SIGSTOP"}, ready=False, lease=LEASE
    )
    until(lambda: world.struck and stands_still(stalled.pid), "it stands still")
    job = world.enqueue("quick")
    [lapsed] = world.app.workers.list()
    until(lambda: clock.now() > lapsed.lease_until, "its lease runs out")
    stalled.go_on()
    record = world.ends(job)
    assert (record.state, record.attempt, record.fence) == (State.COMPLETED, 1, 1)
    assert "lost its lease" in stalled.log
    world.check()


@both_settings
def test_a_claim_whose_reply_comes_after_the_lease_was_lost_is_not_started(world: World):
    gate = world.gate()
    job = world.enqueue("hold", gate)
    stalled = world.start_worker(
        fault={"plan": "exchange", "when": "after", "having": "claims", "signal": "SIGSTOP"}, ready=False, lease=LEASE
    )
    until(lambda: world.struck, "it stands still")
    world.outlast(stalled.pid)
    other = world.start_worker()
    world.starts(job)
    stalled.go_on()
    until(lambda: "lost its lease" in stalled.log, "it notices")
    until(lambda: len(world.app.workers.list()) == 2, "it begins anew")
    world.open(gate)
    world.ends(job)
    assert {run.pid for run in world.history.runs(job)} == {other.pid}
    world.check()


# --- recovering -----------------------------------------------------------------------------------------------------


def test_many_workers_that_recover_at_once_count_one_crash(world: World):
    ids = [world.enqueue("hold", world.gate()) for _ in range(8)]
    victim = world.start_worker()
    for id in ids:
        world.starts(id)
    victim.kill()
    world.lapse(victim.pid)
    for _ in range(3):
        world.start_worker(ready=False)
    for id in ids:
        world.starts(id, 2)
    world.open(world.gate())
    for id in ids:
        record = world.ends(id)
        assert (record.state, record.attempt, record.crashes, record.fence) == (State.COMPLETED, 2, 1, 2)
    world.check()


def test_a_job_of_one_attempt_survives_a_crash(world: World):
    job = world.enqueue("murder", 1, max_attempts=1)
    victim = world.start_worker(ready=False)
    victim.wait()
    world.lapse(victim.pid)
    world.start_worker()
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes, record.max_attempts) == (State.COMPLETED, 2, 1, 1)
    world.check()


def test_a_job_that_kills_every_worker_fails_at_its_cap_and_leaves_the_others_unharmed(world: World):
    killer = world.enqueue("murder", 1000, max_crashes=3)
    others = [world.enqueue("quick", 0.01) for _ in range(20)]
    fleet = world.start_worker(processes=2, concurrency=4, ready=False, lease=LEASE)
    record = world.ends(killer)
    assert (record.state, record.crashes, record.attempt) == (State.FAILED, 3, 3)
    assert [failure.type for failure in record.errors] == ["crashed"]
    assert "died" in (record.error or "")
    assert len(world.history.runs(killer)) == 3
    for other in others:
        assert world.ends(other).state is State.COMPLETED
    assert fleet.alive
    world.check()


@pytest.mark.parametrize(
    ("store", "seed"), [("sqlite-full", 1), ("sqlite-normal", 2), ("postgres", 3), ("redis", 4)], indirect=["store"]
)
def test_workers_killed_again_and_again_under_load(world: World, seed: int):
    chance = random.Random(seed)
    for index in range(7):
        world.enqueue("swarm", index, times=200)
    for index in range(4):
        world.enqueue("hold_in_thread", world.gate("soon"))
        world.enqueue("murder", index % 3)
    workers = [world.start_worker(ready=False, concurrency=6, lease=LEASE) for _ in range(3)]
    world.open(world.gate("soon"))
    for _ in range(12):
        world.enqueue("quick", 0.05, times=20)
        until(lambda: any(worker.begun and worker.alive for worker in workers), "a worker begins")
        _pass(chance.uniform(0.05, 0.6))
        place = chance.choice([place for place, worker in enumerate(workers) if worker.begun])
        workers[place].kill()
        workers[place] = world.start_worker(ready=False, concurrency=6, lease=LEASE)

    def tend() -> bool:
        for place, worker in enumerate(workers):
            if not worker.alive:  # murdered
                workers[place] = world.start_worker(ready=False, concurrency=6, lease=LEASE)
        return world.all_final()

    until(tend, "every job ends", 120)
    jobs = world.check()
    assert {job.state for job in jobs.values()} == {State.COMPLETED}


def _pass(seconds: float) -> None:
    """Let some time pass: part of what is done here, not a wait for anything."""
    time.sleep(seconds)


def test_leases_are_what_recovery_goes_by(world: World):
    """A job that outruns the lease that its worker had at its start is left alone while its worker lives."""
    gate = world.gate()
    job = world.enqueue("hold", gate)
    world.start_worker(lease=LEASE * 2)  # and so it may go without the CPU for longer than that of others
    world.starts(job)
    [first] = world.app.workers.list()
    other = world.start_worker()
    until(lambda: clock.now() > first.lease_until, "the lease would be over")
    assert world.app.engine.run(world.app.engine.connection.store.recover()) == Recovered()
    assert other.alive
    world.open(gate)
    record = world.ends(job)
    assert (record.attempt, record.crashes, record.fence) == (1, 0, 1)
    world.check()
