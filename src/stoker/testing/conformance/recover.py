"""What `Store.recover` promises."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import Failure, Progress, State, Verdict
from stoker.store import Recovered
from stoker.testing.conformance.rig import DAY, LEASE, MINUTE, START, Rig, completed, ids, retried, verdict


def test_nothing_to_recover(rig: Rig) -> None:
    assert rig.run(rig.store.recover()) == Recovered(queued=0, failed=0)


def test_a_job_whose_worker_died_is_queued_again(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE)
    assert rig.run(rig.store.recover()) == Recovered(queued=1)
    job = rig.read(claim.id)
    assert (job.state, job.attempt, job.crashes, job.error, job.errors) == (State.QUEUED, 1, 1, None, ())
    assert (job.run_at, job.updated_at) == (to_datetime(START), to_datetime(START + LEASE))
    rig.hire()
    (again,) = rig.claim()
    assert (again.ref, again.fence, again.attempt, again.crashes) == (claim.ref, claim.fence + 1, 2, 1)


def test_a_lease_lasts_to_its_last_moment(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE - 1)
    assert rig.run(rig.store.recover()) == Recovered()
    assert rig.state(claim.id) is State.PROCESSING
    rig.advance(1)
    assert rig.run(rig.store.recover()) == Recovered(queued=1)


def test_a_job_runs_as_long_as_its_worker_lives(rig: Rig) -> None:
    claim = rig.begin()
    for _ in range(500):
        rig.advance(LEASE - 1)
        rig.beat("worker", lease=LEASE)
        assert rig.run(rig.store.recover()) == Recovered()
    assert rig.settle(completed(claim)) == []


def test_a_recovery_that_was_looked_for_too_early_spares_the_worker_that_renewed(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE - 1)
    plan = rig.store.recover()  # made, not run: it must look again when it runs
    rig.beat("worker", lease=LEASE)
    rig.advance(1)
    assert rig.run(plan) == Recovered()
    assert rig.state(claim.id) is State.PROCESSING


def test_only_the_claims_of_the_dead_are_taken(rig: Rig) -> None:
    held = [rig.begin(f"w{i}") for i in range(4)]
    rig.lose("w1", "w3")
    assert rig.run(rig.store.recover()) == Recovered(queued=2)
    assert rig.states(c.id for c in held) == [State.PROCESSING, State.QUEUED, State.PROCESSING, State.QUEUED]


@pytest.mark.parametrize("state", [state for state in State if state is not State.PROCESSING])
def test_jobs_that_are_not_processing_are_left_alone(rig: Rig, state: State) -> None:
    rig.make(state)
    rig.advance(DAY)
    before = rig.records()
    assert rig.run(rig.store.recover()) == Recovered()
    assert rig.records() == before


def test_recovering_twice_counts_one_crash(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE)
    rig.run(rig.store.recover())
    before = rig.records()
    rig.advance(SECOND)
    assert rig.run(rig.store.recover()) == Recovered()
    assert rig.records() == before
    assert rig.read(claim.id).crashes == 1


def test_many_who_recover_at_once_count_one_crash_each(rig: Rig) -> None:
    made = rig.enqueue_many(50)
    rig.hire()
    rig.claim()
    rig.advance(LEASE)
    answers = rig.run_together([rig.store.recover() for _ in range(10)])
    assert sum(answer.queued for answer in answers) == 50
    assert {rig.read(id).crashes for id in made} == {1}


def test_a_recovered_job_has_its_old_place(rig: Rig) -> None:
    claim = rig.begin(priority=0)
    rig.advance(SECOND)
    later = rig.enqueue()
    urgent = rig.enqueue(priority=1)
    rig.lose("worker")
    rig.advance(SECOND)
    rig.recover_all()
    rig.hire()
    assert ids(rig.claim()) == [urgent, claim.id, later]


def test_what_was_said_before_the_crash_is_kept(rig: Rig) -> None:
    claim = rig.begin()
    rig.beat("worker", Progress(claim.ref, claim.fence, 0.5, "half", '{"page":3}'))
    rig.lose("worker")
    rig.recover_all()
    job = rig.read(claim.id)
    assert (job.progress, job.message, job.checkpoint) == (0.5, "half", {"page": 3})
    rig.hire()
    assert rig.claim()[0].checkpoint == '{"page":3}'


# --- the cap --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [1, 2, 3, 5])
def test_a_job_that_keeps_killing_its_workers_fails_visibly(rig: Rig, cap: int) -> None:
    id = rig.enqueue(max_crashes=cap, key="k", keep_for=MINUTE)
    for crash in range(1, cap):
        rig.claim(rig.hire(f"w{crash}"))
        rig.lose(f"w{crash}")
        assert rig.run(rig.store.recover()) == Recovered(queued=1)
        assert rig.read(id).errors == ()
    rig.claim(rig.hire("last"))
    rig.lose("last")
    rig.advance(SECOND)
    assert rig.run(rig.store.recover()) == Recovered(failed=1)
    job = rig.read(id)
    message = f"the process that ran this job died or lost its lease, {'once' if cap == 1 else f'{cap} times'}"
    at = to_datetime(START + SECOND)
    assert (job.state, job.crashes, job.attempt) == (State.FAILED, cap, cap)
    assert (job.error, job.finished_at) == (f"crashed: {message}", at)
    assert job.errors == (Failure(attempt=cap, type="crashed", message=message, worker="last", at=at),)
    assert rig.claim(rig.hire()) == []
    rig.enqueue(key="k")
    rig.advance(MINUTE)
    assert rig.run(rig.store.prune()) == 1


def test_a_crash_spends_no_attempt(rig: Rig) -> None:
    claim = rig.begin(max_attempts=1, max_crashes=3)
    rig.lose("worker")
    rig.recover_all()
    rig.hire()
    (again,) = rig.claim()
    assert (again.attempt, again.crashes, again.max_attempts) == (2, 1, 1)  # 2 - 1: it is the first one that counts
    assert again.id == claim.id


def test_the_history_of_errors_is_kept_through_a_crash(rig: Rig) -> None:
    claim = rig.begin(max_attempts=5, max_crashes=1)
    rig.settle(retried(claim, message="first"))
    rig.claim()
    rig.lose("worker")
    rig.recover_all()
    job = rig.read(claim.id)
    assert [(e.attempt, e.type) for e in job.errors] == [(1, "builtins.ValueError"), (2, "crashed")]


def test_crashes_that_a_worker_reported_count_as_well(rig: Rig) -> None:
    claim = rig.begin(max_crashes=2)
    rig.settle(verdict(claim, Verdict.CRASHED))
    rig.claim()
    rig.lose("worker")
    assert rig.run(rig.store.recover()) == Recovered(failed=1)


# --- asked to cancel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [1, 3])
@pytest.mark.parametrize(("reason", "error"), [("not wanted", "not wanted"), (None, None)])
def test_a_job_that_was_asked_to_cancel_ends_as_cancelled(
    rig: Rig, cap: int, reason: str | None, error: str | None
) -> None:
    claim = rig.begin(max_crashes=cap, key="k")
    rig.cancel(claim.id, reason=reason)
    rig.lose("worker")
    assert rig.run(rig.store.recover()) == Recovered()
    job = rig.read(claim.id)
    assert (job.state, job.crashes, job.error, job.errors) == (State.CANCELLED, 1, error, ())
    assert (job.cancel_requested, job.finished_at) == (False, to_datetime(START))
    rig.enqueue(key="k")


# --- limits ---------------------------------------------------------------------------------------------------------


def test_no_more_than_the_limit_are_taken_and_none_is_left_in_the_end(rig: Rig) -> None:
    made = rig.enqueue_many(10)
    rig.hire("w1")
    rig.hire("w2")
    rig.claim("w1", 5)
    rig.claim("w2", 5)
    rig.advance(LEASE)
    taken = [rig.run(rig.store.recover(4)).queued for _ in range(4)]
    assert taken == [4, 4, 2, 0]
    assert set(rig.states(made)) == {State.QUEUED}
    assert {rig.read(id).crashes for id in made} == {1}


def test_a_recovery_of_none_takes_none(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE)
    assert rig.run(rig.store.recover(0)) == Recovered()
    assert rig.state(claim.id) is State.PROCESSING


def test_jobs_of_unknown_tasks_and_paused_queues_do_not_stop_the_recovery(rig: Rig) -> None:
    odd = [rig.begin(task=f"gone{i}", queue="mail") for i in range(3)]
    rig.run(rig.store.pause("mail", True))
    plain = rig.begin()
    rig.advance(LEASE)
    assert [rig.run(rig.store.recover(1)).queued for _ in range(5)] == [1, 1, 1, 1, 0]
    assert set(rig.states(c.id for c in (*odd, plain))) == {State.QUEUED}


def test_a_thousand_at_once(rig: Rig) -> None:
    made = rig.enqueue_many(1000, max_crashes=1) + rig.enqueue_many(1000, max_crashes=2)
    rig.hire()
    rig.claim()
    rig.advance(LEASE)
    assert rig.run(rig.store.recover(2000)) == Recovered(queued=1000, failed=1000)
    assert rig.run(rig.store.count()) == {"queued": 1000, "failed": 1000}
    rig.hire()
    assert ids(rig.claim()) == made[1000:]


# --- the dead themselves --------------------------------------------------------------------------------------------


def test_dead_workers_that_hold_nothing_are_forgotten(rig: Rig) -> None:
    rig.hire("idle")
    rig.hire("alive", lease=DAY)
    rig.advance(LEASE)
    rig.run(rig.store.recover())
    assert [worker.id for worker in rig.workers()] == ["alive"]


def test_a_dead_worker_is_known_while_it_holds_something(rig: Rig) -> None:
    rig.enqueue_many(3)
    rig.hire()
    rig.claim()
    rig.advance(LEASE)
    rig.run(rig.store.recover(2))
    assert rig.worker() is not None
    rig.run(rig.store.recover(2))
    assert rig.worker() is None


def test_a_living_worker_that_holds_nothing_is_not_forgotten(rig: Rig) -> None:
    rig.hire()
    rig.advance(LEASE - 1)
    rig.run(rig.store.recover())
    assert rig.worker() is not None


def test_a_job_remembers_who_ran_it_after_that_worker_is_forgotten(rig: Rig) -> None:
    done, lost = rig.begin("w1"), rig.begin("w2")
    rig.settle(completed(done))
    rig.advance(LEASE)
    rig.recover_all()
    assert rig.workers() == []
    assert (rig.read(done.id).worker, rig.read(lost.id).worker) == ("w1", "w2")
    rig.hire("w1")
    assert rig.worker("w1") is not None
    assert (rig.read(done.id).worker, rig.read(lost.id).worker) == ("w1", "w2")


def test_the_slow_worker_hears_that_it_is_dead(rig: Rig) -> None:
    rig.begin()
    rig.advance(LEASE)
    rig.recover_all()
    assert not rig.beat("worker", lease=LEASE).alive
    assert not rig.exchange(limit=1).alive


def test_a_new_worker_does_not_keep_the_claims_of_a_dead_one_alive(rig: Rig) -> None:
    claim = rig.begin("w1")
    rig.lose("w1")
    rig.hire("w2")  # on the same host, with the same pid
    assert rig.run(rig.store.recover()).queued == 1
    assert ids(rig.claim("w2")) == [claim.id]
