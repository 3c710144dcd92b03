"""What `Store.amend` and `eligible` promise: the table of `Action`, and what each action does."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import FINAL, LIVE, State, Verdict
from stoker.store import Action, Change, Filter
from stoker.testing.conformance.rig import DAY, HOUR, LEASE, MINUTE, START, Rig, completed, failed, ids, verdict

PLAIN = LIVE - {State.PROCESSING}
OPEN = {
    Action.CANCEL: LIVE,
    Action.RETRY: frozenset({State.FAILED, State.CANCELLED}),
    Action.REQUEUE: frozenset[State](),
    Action.PRIORITISE: PLAIN,
    Action.DELETE: frozenset(State) - {State.PROCESSING},
}
"""The states that an action changes while workers are alive; of a dead worker, processing ones may be more."""


def apply(rig: Rig, action: Action, limit: int | None = None, priority: int = 7, **fields: Any) -> int:
    which = Filter(**fields)
    return rig.run(rig.store.amend(which, Change(action, priority=priority), limit))


def eligible(rig: Rig, action: Action, priority: int = 7, **fields: Any) -> int:
    which = Filter(**fields)
    return rig.run(rig.store.eligible(which, Change(action, priority=priority)))


# --- to which -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", Action)
def test_an_action_is_done_to_the_states_that_it_is_for(rig: Rig, action: Action, state: State) -> None:
    id = rig.make(state)
    before = rig.records()
    expected = int(state in OPEN[action])
    assert eligible(rig, action, ids=(id,)) == expected
    assert rig.records() == before
    assert apply(rig, action, ids=(id,)) == expected
    assert (rig.records() != before) == bool(expected)


@pytest.mark.parametrize("action", Action)
def test_a_processing_job_of_a_dead_worker(rig: Rig, action: Action) -> None:
    id = rig.make(State.PROCESSING)
    rig.advance(LEASE)
    expected = int(action in (Action.CANCEL, Action.REQUEUE, Action.DELETE))
    assert eligible(rig, action) == expected
    assert apply(rig, action, ids=(id,)) == expected


@pytest.mark.parametrize("action", Action)
def test_no_jobs_and_unknown_ids_are_no_ops(rig: Rig, action: Action) -> None:
    assert eligible(rig, action) == apply(rig, action) == 0
    rig.make(State.QUEUED)
    rig.make(State.FAILED)
    before = rig.records()
    assert eligible(rig, action, ids=()) == apply(rig, action, ids=()) == 0
    assert eligible(rig, action, ids=("nobody", rig.new_id())) == apply(rig, action, ids=("nobody",)) == 0
    assert rig.records() == before


@pytest.mark.parametrize("action", Action)
def test_only_matching_jobs_are_changed(rig: Rig, action: Action) -> None:
    state = State.FAILED if action is Action.RETRY else State.PROCESSING if action is Action.REQUEUE else State.QUEUED
    inside, outside = rig.make(state, owner="in"), rig.make(state, owner="out", queue="other")
    rig.lose("holder")
    before = rig.read(outside)
    assert apply(rig, action, owner="in") == 1
    assert rig.read(outside) == before
    assert eligible(rig, action, owner="in") == 0
    assert rig.find(owner="in") == ([] if action is Action.DELETE else [inside])


@pytest.mark.parametrize("action", Action)
def test_an_action_done_twice_changes_nothing_the_second_time(rig: Rig, action: Action) -> None:
    for state in State:
        rig.make(state)
    rig.lose("holder")
    assert apply(rig, action) == eligible_before(action)
    before = rig.records()
    rig.advance(SECOND)
    assert apply(rig, action) == 0
    assert rig.records() == before


def eligible_before(action: Action) -> int:
    """How many of one job a state, the parent of the waiting one included, are open to the action; workers are dead."""
    return {Action.CANCEL: 5, Action.RETRY: 2, Action.REQUEUE: 1, Action.PRIORITISE: 4, Action.DELETE: 8}[action]


@pytest.mark.parametrize("action", Action)
def test_a_limit_is_kept_and_in_the_end_the_same_is_done(rig: Rig, action: Action) -> None:
    for state in State:
        for _ in range(3):
            rig.make(state)
    rig.lose("holder")
    total = eligible(rig, action)
    assert total == 3 * eligible_before(action)
    assert apply(rig, action, limit=0) == 0
    done = []
    while (changed := apply(rig, action, limit=2)) > 0:
        done.append(changed)
    assert sum(done) == total
    assert max(done) <= 2
    assert eligible(rig, action) == 0


def test_thousands_at_once(rig: Rig) -> None:
    rig.enqueue_many(3000)
    assert apply(rig, Action.PRIORITISE) == 3000
    assert apply(rig, Action.CANCEL) == 3000
    assert apply(rig, Action.RETRY) == 3000
    assert apply(rig, Action.DELETE) == 3000
    assert rig.records() == []


# --- cancel ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(PLAIN))
@pytest.mark.parametrize("reason", ["not wanted", None])
def test_a_job_that_does_not_run_is_cancelled_now(rig: Rig, state: State, reason: str | None) -> None:
    id = rig.make(state, key="k", keep_for=MINUTE)
    rig.advance(SECOND)
    assert rig.cancel(id, reason=reason) == 1
    job = rig.read(id)
    assert (job.state, job.error, job.errors) == (State.CANCELLED, reason, ())
    assert job.finished_at == job.updated_at == to_datetime(START + SECOND)
    assert (job.cancel_requested, job.attempt) == (False, 0)
    rig.enqueue(key="k")
    rig.advance(MINUTE)
    assert rig.run(rig.store.prune()) == 1


@pytest.mark.parametrize("state", sorted(PLAIN))
def test_a_cancelled_job_never_starts(rig: Rig, state: State) -> None:
    id = rig.make(state)
    rig.cancel(id)
    rig.advance(2 * DAY)
    rig.hire()
    assert id not in ids(rig.claim())
    assert rig.state(id) is State.CANCELLED


def test_a_job_that_runs_is_asked_to_stop(rig: Rig) -> None:
    claim = rig.begin(key="k")
    rig.advance(SECOND)
    assert rig.cancel(claim.id, reason="not wanted") == 1
    job = rig.read(claim.id)
    assert (job.state, job.cancel_requested, job.finished_at) == (State.PROCESSING, True, None)
    assert (job.error, job.updated_at) == (None, to_datetime(START + SECOND))
    assert not rig.run(rig.store.insert([rig.new(key="k")]))[0].created


def test_a_job_is_asked_to_stop_once(rig: Rig) -> None:
    claim = rig.begin()
    assert rig.cancel(claim.id, reason="first") == 1
    assert rig.cancel(claim.id, reason="second") == 0
    rig.settle(verdict(claim, Verdict.CANCELLED))
    assert rig.read(claim.id).error == "first"


def test_a_cancelled_job_keeps_the_history_of_its_attempts(rig: Rig) -> None:
    id = rig.make(State.FAILED)
    rig.retry(id)
    rig.cancel(id, reason="enough")
    job = rig.read(id)
    assert (job.error, job.attempt) == ("enough", 1)


# --- retry ----------------------------------------------------------------------------------------------------------


def test_a_retried_job_is_queued_as_of_now(rig: Rig) -> None:
    claim = rig.begin(priority=0, max_attempts=1)
    rig.settle(failed(claim))
    rig.advance(HOUR)
    earlier = rig.enqueue()
    rig.advance(SECOND)
    assert rig.retry(claim.id) == 1
    job = rig.read(claim.id)
    assert (job.state, job.finished_at) == (State.QUEUED, None)
    assert job.run_at == job.updated_at == to_datetime(START + HOUR + SECOND)
    assert [entry.message for entry in job.errors] == ["no luck"]
    assert job.error == "builtins.ValueError: no luck"
    rig.hire(lease=DAY)
    assert ids(rig.claim()) == [earlier, claim.id]


@pytest.mark.parametrize(
    ("attempts", "crashes", "max_attempts", "granted"), [(1, 0, 1, 2), (2, 0, 2, 3), (1, 0, 5, 5), (1, 2, 1, 2)]
)
def test_a_retry_grants_one_attempt_more(
    rig: Rig, attempts: int, crashes: int, max_attempts: int, granted: int
) -> None:
    claim = rig.begin(max_attempts=max_attempts, max_crashes=9)
    for _ in range(crashes):
        rig.settle(verdict(claim, Verdict.CRASHED))
        (claim,) = rig.claim()
    for _ in range(attempts - 1):
        rig.settle(verdict(claim, Verdict.RETRY))
        (claim,) = rig.claim()
    rig.settle(failed(claim))
    rig.retry(claim.id)
    job = rig.read(claim.id)
    assert (job.attempt, job.crashes, job.max_attempts) == (attempts + crashes, crashes, granted)
    (again,) = rig.claim()
    assert again.attempt - again.crashes <= again.max_attempts == granted


@pytest.mark.parametrize(("cap", "granted"), [(1, 2), (3, 4)])
def test_a_job_that_crashed_out_is_granted_one_crash_more(rig: Rig, cap: int, granted: int) -> None:
    claim = rig.begin(max_crashes=cap)
    for _ in range(cap - 1):
        rig.settle(verdict(claim, Verdict.CRASHED))
        (claim,) = rig.claim()
    rig.settle(verdict(claim, Verdict.CRASHED))
    assert rig.retry(claim.id) == 1
    assert (rig.read(claim.id).crashes, rig.read(claim.id).max_crashes) == (cap, granted)
    (claim,) = rig.claim()
    rig.settle(verdict(claim, Verdict.CRASHED))
    assert rig.state(claim.id) is State.FAILED


def test_a_retry_leaves_a_cap_that_is_not_reached(rig: Rig) -> None:
    id = rig.make(State.FAILED, max_crashes=3)
    rig.retry(id)
    assert rig.read(id).max_crashes == 3


def test_a_retried_job_holds_its_key_again(rig: Rig) -> None:
    id = rig.make(State.FAILED, key="k")
    rig.retry(id)
    assert rig.run(rig.store.insert([rig.new(key="k")]))[0].id == id


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_job_whose_key_was_taken_meanwhile_is_not_retried(rig: Rig, state: State) -> None:
    id = rig.make(State.FAILED, key="k")
    holder = rig.make(state, key="k")
    before = rig.read(id)
    assert eligible(rig, Action.RETRY) == rig.retry(id) == 0
    assert rig.read(id) == before
    assert rig.state(holder) is state


def test_a_job_whose_key_is_free_again_is_retried(rig: Rig) -> None:
    id = rig.make(State.FAILED, key="k")
    rig.make(State.COMPLETED, key="k")
    assert eligible(rig, Action.RETRY) == rig.retry(id) == 1


def test_of_twins_the_first_is_retried(rig: Rig) -> None:
    twins = [rig.make(State.FAILED, key="k") for _ in range(3)]
    other = rig.make(State.FAILED, key="other")
    plain = [rig.make(State.FAILED) for _ in range(2)]
    assert eligible(rig, Action.RETRY) == 4
    assert rig.retry() == 4
    assert rig.states(twins) == [State.QUEUED, State.FAILED, State.FAILED]
    assert set(rig.states([other, *plain])) == {State.QUEUED}
    assert rig.retry() == 0


def test_twins_and_a_limit(rig: Rig) -> None:
    for key in ("a", "a", None, "b", "a", "b", None):
        rig.make(State.FAILED, key=key)
    total = 0
    while (changed := apply(rig, Action.RETRY, limit=2)) > 0:
        assert changed <= 2
        total += changed
    assert total == 4


def test_a_result_of_before_is_not_lost_by_a_retry(rig: Rig) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.CANCELLED, progress=0.5, checkpoint="[3]"))
    rig.retry(claim.id)
    job = rig.read(claim.id)
    assert (job.progress, job.checkpoint, job.fence) == (0.5, [3], 1)


# --- requeue --------------------------------------------------------------------------------------------------------


def test_a_requeued_job_counts_a_crash_and_has_its_old_place(rig: Rig) -> None:
    claim = rig.begin(priority=0)
    rig.advance(LEASE)
    later = rig.enqueue()
    assert apply(rig, Action.REQUEUE) == 1
    job = rig.read(claim.id)
    assert (job.state, job.attempt, job.crashes, job.run_at) == (State.QUEUED, 1, 1, to_datetime(START))
    assert rig.settle(completed(claim)) == [claim.ref]
    rig.hire()
    assert ids(rig.claim()) == [claim.id, later]


def test_a_person_may_requeue_past_the_cap(rig: Rig) -> None:
    claim = rig.begin(max_crashes=1)
    rig.lose("worker")
    assert apply(rig, Action.REQUEUE) == 1
    job = rig.read(claim.id)
    assert (job.state, job.crashes, job.errors) == (State.QUEUED, 1, ())


def test_a_job_asked_to_cancel_is_cancelled_instead(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id, reason="not wanted")
    rig.lose("worker")
    assert apply(rig, Action.REQUEUE) == 1
    job = rig.read(claim.id)
    assert (job.state, job.error, job.crashes) == (State.CANCELLED, "not wanted", 1)


def test_jobs_of_the_living_are_never_requeued(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE - 1)
    assert apply(rig, Action.REQUEUE, idle_for=0) == 0
    assert rig.settle(completed(claim)) == []


# --- prioritise -----------------------------------------------------------------------------------------------------


def test_a_job_of_higher_priority_passes_the_others(rig: Rig) -> None:
    made = rig.enqueue_many(4)
    assert rig.amend(Action.PRIORITISE, made[2], priority=5) == 1
    assert rig.amend(Action.PRIORITISE, made[0], priority=-5) == 1
    rig.hire()
    assert ids(rig.claim()) == [made[2], made[1], made[3], made[0]]


def test_to_and_fro_a_job_is_claimed_once(rig: Rig) -> None:
    made = rig.enqueue_many(3)
    for priority in (5, 0, -5, 0, 5, 0):
        rig.amend(Action.PRIORITISE, made[1], priority=priority)
    rig.hire()
    assert ids(rig.claim()) == made


@pytest.mark.parametrize("state", [State.SCHEDULED, State.QUEUED, State.WAITING])
def test_the_new_priority_is_kept(rig: Rig, state: State) -> None:
    id = rig.make(state)
    rig.advance(SECOND)
    assert rig.amend(Action.PRIORITISE, id, priority=-100) == 1
    job = rig.read(id)
    assert (job.state, job.priority, job.updated_at) == (state, -100, to_datetime(START + SECOND))


def test_a_scheduled_job_has_its_new_priority_once_it_is_due(rig: Rig) -> None:
    id = rig.enqueue(delay=MINUTE)
    rig.amend(Action.PRIORITISE, id, priority=1)
    other = rig.enqueue()
    rig.advance(MINUTE)
    rig.hire()
    assert ids(rig.claim()) == [id, other]


# --- delete ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in State if state is not State.PROCESSING])
def test_a_deleted_job_is_gone_with_its_key(rig: Rig, state: State) -> None:
    id = rig.make(state, key="k")
    assert rig.amend(Action.DELETE, id) == 1
    assert rig.find(ids=(id,)) == []
    rig.enqueue(key="k")
    rig.advance(2 * DAY)
    rig.hire()
    assert id not in ids(rig.claim())


def test_what_a_dead_worker_held_can_be_deleted_and_its_outcome_is_refused(rig: Rig) -> None:
    claim = rig.begin(key="k")
    rig.lose("worker")
    assert rig.amend(Action.DELETE, claim.id) == 1
    assert rig.settle(completed(claim)) == [claim.ref]
    assert rig.records() == []
    rig.recover_all()
    rig.enqueue(key="k")


def test_deleting_a_finished_twin_leaves_the_key_to_the_living(rig: Rig) -> None:
    old = rig.make(State.FAILED, key="k")
    present = rig.enqueue(key="k")
    rig.amend(Action.DELETE, old)
    assert rig.run(rig.store.insert([rig.new(key="k")]))[0].id == present


def test_every_final_state_can_be_purged_and_nothing_else_is(rig: Rig) -> None:
    for state in State:
        rig.make(state)
    assert apply(rig, Action.DELETE, states=tuple(FINAL)) == 3
    assert rig.run(rig.store.count()).keys() == {state.value for state in LIVE}
