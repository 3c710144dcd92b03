"""What a store promises of jobs that wait for other jobs, and of what the end of these means to them."""

from __future__ import annotations

import pytest

from stoker.job import NOT_NEEDED, PARENT_FAILED, Claim, Inserted, Outcome, ParentFailure, State, Verdict
from stoker.store import Action, Change, Filter
from stoker.testing.conformance.rig import DAY, HOUR, LEASE, Rig, completed, failed, ids, verdict

CANCEL, RUN, HOLD, ONLY = ParentFailure.CANCEL, ParentFailure.RUN, ParentFailure.HOLD, ParentFailure.ONLY
BAD_ENDS = (Verdict.FAILED, Verdict.CANCELLED)


def bad(claim: Claim, how: Verdict = Verdict.FAILED) -> Outcome:
    """The outcome of a claim that ends badly."""
    return failed(claim) if how is Verdict.FAILED else verdict(claim, how)


def open_parents(rig: Rig, id: str) -> list[str]:
    """The jobs that this one still waits for."""
    return list(rig.read(id).open_parents)


# --- beginnings -----------------------------------------------------------------------------------------------------


def test_a_job_waits_for_its_unfinished_parents(rig: Rig) -> None:
    first, second = rig.enqueue(), rig.enqueue(delay=HOUR)
    child = rig.enqueue(parents=(first, second))
    job = rig.read(child)
    assert (job.state, list(job.open_parents)) == (State.WAITING, sorted([first, second]))
    assert not job.parent_failed


def test_parents_of_the_same_call_that_stand_before_are_waited_for(rig: Rig) -> None:
    first = rig.new()
    second = rig.new(parents=(first.id,))
    third = rig.new(parents=(first.id, second.id))
    rig.run(rig.store.insert([first, second, third]))
    assert rig.states([first.id, second.id, third.id]) == [State.QUEUED, State.WAITING, State.WAITING]
    assert open_parents(rig, third.id) == sorted([first.id, second.id])


def test_ids_that_do_not_exist_are_nobodys_parents(rig: Rig) -> None:
    assert rig.state(rig.enqueue(parents=(rig.new_id(),))) is State.QUEUED


def test_completed_parents_are_not_waited_for(rig: Rig) -> None:
    parent = rig.make(State.COMPLETED)
    child = rig.enqueue(parents=(parent,))
    assert (rig.state(child), open_parents(rig, child)) == (State.QUEUED, [])
    assert list(rig.read(child).parents) == [parent]


def test_a_job_that_need_not_wait_and_is_not_due_is_scheduled(rig: Rig) -> None:
    parent = rig.make(State.COMPLETED)
    assert rig.state(rig.enqueue(parents=(parent,), delay=HOUR)) is State.SCHEDULED


@pytest.mark.parametrize("how", [State.FAILED, State.CANCELLED])
def test_a_parent_that_ended_badly_before(rig: Rig, how: State) -> None:
    parent = rig.make(how)
    found = {policy: rig.read(rig.enqueue(parents=(parent,), on_parent_failure=policy)) for policy in ParentFailure}
    assert [found[policy].state for policy in (CANCEL, RUN, HOLD, ONLY)] == [
        State.CANCELLED,
        State.QUEUED,
        State.WAITING,
        State.QUEUED,
    ]
    assert found[CANCEL].error == PARENT_FAILED
    assert found[CANCEL].finished_at == found[CANCEL].created_at
    assert list(found[HOLD].open_parents) == [parent]


def test_a_job_for_a_failure_is_not_needed_where_all_had_completed(rig: Rig) -> None:
    parent = rig.make(State.COMPLETED)
    job = rig.read(rig.enqueue(parents=(parent,), on_parent_failure=ONLY))
    assert (job.state, job.error) == (State.CANCELLED, NOT_NEEDED)


def test_a_job_that_is_cancelled_at_once_has_consequences(rig: Rig) -> None:
    parent = rig.make(State.FAILED)
    first = rig.new(parents=(parent,))
    second = rig.new(parents=(first.id,), on_parent_failure=RUN)
    third = rig.new(parents=(first.id,))
    rig.run(rig.store.insert([first, second, third]))
    assert rig.states([first.id, second.id, third.id]) == [State.CANCELLED, State.QUEUED, State.CANCELLED]


def test_a_job_that_waits_has_its_key(rig: Rig) -> None:
    parent = rig.enqueue()
    child = rig.enqueue(parents=(parent,), key="k")
    assert rig.run(rig.store.insert([rig.new(key="k")])) == [Inserted(child, created=False)]


# --- ends -----------------------------------------------------------------------------------------------------------


def test_the_last_parent_releases(rig: Rig) -> None:
    first, second = rig.begin(), rig.begin()
    child = rig.enqueue(parents=(first.id, second.id))
    rig.settle(completed(first))
    assert (rig.state(child), open_parents(rig, child)) == (State.WAITING, [second.id])
    rig.settle(completed(second))
    assert (rig.state(child), open_parents(rig, child)) == (State.QUEUED, [])


def test_parents_that_end_together_release_once(rig: Rig) -> None:
    parents = [rig.begin() for _ in range(5)]
    child = rig.enqueue(parents=tuple(claim.id for claim in parents))
    rig.settle(*map(completed, parents))
    assert ids(rig.claim()) == [child]
    assert rig.claim() == []


def test_one_exchange_settles_and_claims_what_that_released(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    assert ids(rig.exchange("worker", completed(parent), limit=5).claims) == [child]


def test_a_released_job_that_is_not_due_is_scheduled(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,), delay=HOUR)
    assert rig.exchange("worker", completed(parent)).due_in == HOUR
    assert rig.state(child) is State.SCHEDULED


def test_a_released_job_keeps_its_place_by_due_time(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    rig.advance(1)
    later = rig.enqueue()
    rig.settle(completed(parent))
    assert ids(rig.claim()) == [child, later]


@pytest.mark.parametrize("again", [Verdict.RETRY, Verdict.SNOOZED, Verdict.RELEASED, Verdict.CRASHED])
def test_a_parent_that_comes_back_is_waited_for(rig: Rig, again: Verdict) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    rig.settle(verdict(parent, again))
    assert (rig.state(child), open_parents(rig, child)) == (State.WAITING, [parent.id])


def test_a_lost_claim_has_no_consequences(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    rig.lose("worker")
    rig.recover_all()
    assert rig.settle(completed(parent)) == [parent.ref]
    assert rig.state(child) is State.WAITING


@pytest.mark.parametrize("how", BAD_ENDS)
def test_a_bad_end_by_policy(rig: Rig, how: Verdict) -> None:
    parent = rig.begin()
    made = {policy: rig.enqueue(parents=(parent.id,), on_parent_failure=policy) for policy in ParentFailure}
    rig.settle(bad(parent, how))
    assert rig.states(made[policy] for policy in (CANCEL, RUN, HOLD, ONLY)) == [
        State.CANCELLED,
        State.QUEUED,
        State.WAITING,
        State.QUEUED,
    ]
    assert rig.read(made[CANCEL]).error == PARENT_FAILED
    assert open_parents(rig, made[CANCEL]) == []
    assert open_parents(rig, made[HOLD]) == [parent.id]


def test_cancel_does_not_wait_for_the_others(rig: Rig) -> None:
    first, second = rig.begin(), rig.begin()
    child = rig.enqueue(parents=(first.id, second.id))
    rig.settle(failed(first))
    assert rig.state(child) is State.CANCELLED
    rig.settle(completed(second))
    assert rig.state(child) is State.CANCELLED


@pytest.mark.parametrize("policy", [RUN, ONLY])
def test_run_waits_for_all_and_notes_the_failure(rig: Rig, policy: ParentFailure) -> None:
    first, second = rig.begin(), rig.begin()
    child = rig.enqueue(parents=(first.id, second.id), on_parent_failure=policy)
    rig.settle(failed(first))
    job = rig.read(child)
    assert (job.state, job.parent_failed, list(job.open_parents)) == (State.WAITING, True, [second.id])
    rig.settle(completed(second))
    assert rig.state(child) is State.QUEUED


def test_a_job_for_a_failure_is_not_needed_if_all_complete(rig: Rig) -> None:
    first, second = rig.begin(), rig.begin()
    child = rig.enqueue(parents=(first.id, second.id), on_parent_failure=ONLY)
    rig.settle(completed(first), completed(second))
    assert (rig.state(child), rig.read(child).error) == (State.CANCELLED, NOT_NEEDED)
    assert rig.read(child).finished_at is not None


def test_a_good_and_a_bad_end_together(rig: Rig) -> None:
    for order in (1, -1):
        first, second = rig.begin(), rig.begin()
        both = (first.id, second.id)
        made = {policy: rig.enqueue(parents=both, on_parent_failure=policy) for policy in ParentFailure}
        rig.settle(*[completed(first), failed(second)][::order])
        assert rig.states(made[policy] for policy in (CANCEL, RUN, HOLD, ONLY)) == [
            State.CANCELLED,
            State.QUEUED,
            State.WAITING,
            State.QUEUED,
        ]
        assert open_parents(rig, made[HOLD]) == [second.id]
        rig.cancel()
        rig.recover_all()


def test_consequences_have_their_own(rig: Rig) -> None:
    """A chain is cancelled to its end, and what hangs on its links gets its due."""
    first = rig.begin()
    chain, asides = [first.id], []
    for _ in range(20):
        chain.append(rig.enqueue(parents=(chain[-1],)))
        asides.append(rig.enqueue(parents=(chain[-1],), on_parent_failure=RUN))
    last = rig.enqueue(parents=tuple(chain), on_parent_failure=RUN)
    rig.settle(failed(first))
    assert set(rig.states(chain[1:])) == {State.CANCELLED}
    assert set(rig.states(asides)) == {State.QUEUED}
    assert rig.state(last) is State.QUEUED


def test_what_is_cancelled_by_a_parent_frees_its_key_and_keeps_its_time(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,), key="k", keep_for=HOUR)
    rig.settle(failed(parent))
    rig.enqueue(key="k")
    rig.advance(HOUR)
    rig.run(rig.store.prune())
    assert rig.find(ids=(child,)) == []


def test_a_crashed_parent_that_fails_has_consequences(rig: Rig) -> None:
    parent = rig.begin(max_crashes=1)
    child, other = rig.enqueue(parents=(parent.id,)), rig.enqueue(parents=(parent.id,), on_parent_failure=ONLY)
    rig.advance(LEASE)
    recovered = rig.run(rig.store.recover())
    assert (recovered.queued, recovered.failed) == (0, 1)
    assert rig.states([child, other]) == [State.CANCELLED, State.QUEUED]


def test_a_claim_given_back_and_cancelled_has_consequences(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    rig.cancel(parent.id)
    rig.exchange("worker", known=[], wants=[])
    assert rig.states([parent.id, child]) == [State.CANCELLED, State.CANCELLED]


def test_a_wide_fan_out_and_fan_in(rig: Rig) -> None:
    root = rig.begin()
    middle = rig.enqueue_many(300, parents=(root.id,))
    last = rig.enqueue(parents=tuple(middle))
    some = rig.exchange("worker", completed(root), limit=100).claims
    others = rig.exchange("worker", *map(completed, some), limit=300).claims
    assert (len(some), len(others), len(open_parents(rig, last))) == (100, 200, 200)
    rig.settle(*map(completed, others[:-1]))
    assert open_parents(rig, last) == [others[-1].id]
    rig.settle(completed(others[-1]))
    assert rig.state(last) is State.QUEUED


# --- people ---------------------------------------------------------------------------------------------------------


def test_a_person_who_cancels_a_parent_cancels_what_waits_for_it(rig: Rig) -> None:
    parent = rig.enqueue()
    child, other = rig.enqueue(parents=(parent,)), rig.enqueue(parents=(parent,), on_parent_failure=RUN)
    assert rig.cancel(parent, reason="no") == 1
    assert rig.states([child, other]) == [State.CANCELLED, State.QUEUED]
    assert rig.read(child).error == PARENT_FAILED


def test_consequences_follow_when_all_that_were_chosen_have_ended(rig: Rig) -> None:
    parent = rig.enqueue(workflow="w")
    child = rig.enqueue(parents=(parent,), workflow="w")
    other = rig.enqueue(parents=(parent,), workflow="w", on_parent_failure=RUN)
    cancelled = rig.run(rig.store.amend(Filter(workflow="w"), Change(Action.CANCEL, reason="all of it")))
    assert cancelled == 3
    assert {rig.read(id).error for id in (parent, child, other)} == {"all of it"}


def test_a_waiting_job_that_is_cancelled_waits_for_nothing(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    rig.cancel(child)
    assert open_parents(rig, child) == []
    rig.settle(completed(parent))
    assert rig.state(child) is State.CANCELLED


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.WAITING])
def test_to_be_deleted_is_to_end_badly(rig: Rig, state: State) -> None:
    parent = rig.make(state)
    made = {policy: rig.enqueue(parents=(parent,), on_parent_failure=policy) for policy in ParentFailure}
    assert rig.delete(parent) == 1
    assert rig.states(made[policy] for policy in (CANCEL, RUN, HOLD, ONLY)) == [
        State.CANCELLED,
        State.QUEUED,
        State.CANCELLED,
        State.QUEUED,
    ]


def test_whoever_holds_for_a_deleted_failure_is_cancelled(rig: Rig) -> None:
    parent = rig.make(State.FAILED)
    child = rig.enqueue(parents=(parent,), on_parent_failure=HOLD)
    rig.delete(parent)
    assert rig.state(child) is State.CANCELLED


def test_parents_and_children_are_deleted_together(rig: Rig) -> None:
    parent = rig.enqueue()
    child = rig.enqueue(parents=(parent,))
    grandchild = rig.enqueue(parents=(child,), on_parent_failure=RUN)
    assert rig.delete(parent, child) == 2
    assert rig.state(grandchild) is State.QUEUED


def test_a_retried_parent_releases_who_held_for_it(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,), on_parent_failure=HOLD)
    rig.settle(failed(parent))
    rig.retry(parent.id)
    (again,) = rig.claim()
    rig.settle(completed(again))
    assert rig.state(child) is State.QUEUED


def test_a_retry_of_all_puts_the_whole_in_order_again(rig: Rig) -> None:
    first = rig.begin(workflow="w")
    second = rig.enqueue(parents=(first.id,), workflow="w")
    third = rig.enqueue(parents=(second,), workflow="w")
    rig.settle(failed(first))
    assert rig.states([second, third]) == [State.CANCELLED] * 2
    rig.advance(1)
    assert rig.run(rig.store.eligible(Filter(workflow="w"), Change(Action.RETRY))) == 3
    assert rig.run(rig.store.amend(Filter(workflow="w"), Change(Action.RETRY))) == 3
    assert rig.states([first.id, second, third]) == [State.QUEUED, State.WAITING, State.WAITING]
    assert (open_parents(rig, second), open_parents(rig, third)) == ([first.id], [second])
    assert rig.read(third).finished_at is None
    for id in (first.id, second, third):
        (claim,) = rig.claim()
        assert claim.id == id
        rig.settle(completed(claim))


def test_a_retry_in_pages_puts_the_whole_in_order_again(rig: Rig) -> None:
    first = rig.begin(workflow="w")
    second = rig.enqueue(parents=(first.id,), workflow="w")
    rig.settle(failed(first))
    while rig.run(rig.store.amend(Filter(workflow="w"), Change(Action.RETRY), 1)):
        pass
    assert rig.states([first.id, second]) == [State.QUEUED, State.WAITING]


def test_a_child_retried_alone_runs(rig: Rig) -> None:
    parent = rig.make(State.FAILED)
    child = rig.enqueue(parents=(parent,))
    assert rig.retry(child) == 1
    assert rig.state(child) is State.QUEUED


def test_what_was_not_needed_is_not_retried_while_that_holds(rig: Rig) -> None:
    parent = rig.begin(workflow="w")
    alarm = rig.enqueue(parents=(parent.id,), workflow="w", on_parent_failure=ONLY)
    rig.settle(completed(parent))
    assert rig.run(rig.store.eligible(Filter(workflow="w"), Change(Action.RETRY))) == 0
    assert rig.run(rig.store.amend(Filter(workflow="w"), Change(Action.RETRY))) == 0
    assert rig.state(alarm) is State.CANCELLED


def test_what_waits_for_a_failure_waits_again_when_all_is_retried(rig: Rig) -> None:
    parent = rig.enqueue(workflow="w")
    alarm = rig.enqueue(parents=(parent,), workflow="w", on_parent_failure=ONLY)
    rig.run(rig.store.amend(Filter(workflow="w"), Change(Action.CANCEL)))
    rig.run(rig.store.amend(Filter(workflow="w"), Change(Action.RETRY)))
    assert rig.states([parent, alarm]) == [State.QUEUED, State.WAITING]
    rig.hire()
    (claim,) = rig.claim()
    rig.settle(completed(claim))
    assert (rig.state(alarm), rig.read(alarm).error) == (State.CANCELLED, NOT_NEEDED)


# --- more of them ---------------------------------------------------------------------------------------------------


def test_what_waits_for_a_job_waits_for_what_extends_it(rig: Rig) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    more = rig.enqueue(extends=parent.id)
    assert rig.state(more) is State.QUEUED
    assert open_parents(rig, child) == sorted([parent.id, more])
    assert list(rig.read(child).parents) == [parent.id, more]
    rig.settle(completed(parent))
    assert rig.state(child) is State.WAITING
    (claim,) = rig.claim()
    rig.settle(completed(claim))
    assert rig.state(child) is State.QUEUED


@pytest.mark.parametrize("state", [State.QUEUED, State.COMPLETED, State.FAILED, State.CANCELLED])
def test_only_what_is_processing_can_be_extended(rig: Rig, state: State) -> None:
    parent = rig.make(state)
    job = rig.new(extends=parent)
    assert rig.run(rig.store.insert([job])) == [Inserted("", created=False)]
    assert rig.find(ids=(job.id,)) == []


def test_what_does_not_exist_cannot_be_extended(rig: Rig) -> None:
    assert rig.run(rig.store.insert([rig.new(extends=rig.new_id())])) == [Inserted("", created=False)]


def test_an_extension_is_recognised_when_it_comes_again(rig: Rig) -> None:
    parent = rig.begin()
    job = rig.new(extends=parent.id)
    assert rig.run(rig.store.insert([job])) == [Inserted(job.id, created=True)]
    rig.settle(completed(parent))
    assert rig.run(rig.store.insert([job])) == [Inserted(job.id, created=False)]


# --- what stays -----------------------------------------------------------------------------------------------------


def test_records_stay_while_their_workflow_is_under_way(rig: Rig) -> None:
    parent = rig.begin(workflow="w", keep_for=0)
    child = rig.enqueue(parents=(parent.id,), workflow="w", delay=DAY)
    lone = rig.begin(keep_for=0)
    rig.settle(completed(parent), completed(lone))
    rig.advance(1)
    assert rig.run(rig.store.prune()) == 1
    assert rig.find(ids=(parent.id,)) == [parent.id]
    rig.cancel(child)
    assert rig.run(rig.store.prune()) == 1
    assert rig.find(ids=(parent.id,)) == []


def test_a_pruned_failure_cancels_who_held_for_it(rig: Rig) -> None:
    parent = rig.begin(keep_for=0)
    child = rig.enqueue(parents=(parent.id,), on_parent_failure=HOLD)
    rig.settle(failed(parent))
    rig.advance(1)
    rig.run(rig.store.prune())
    assert rig.state(child) is State.CANCELLED


def test_waiting_jobs_come_back_from_a_dump(rig: Rig) -> None:
    first, second = rig.begin(), rig.enqueue(delay=DAY)
    child = rig.enqueue(parents=(first.id, second), on_parent_failure=RUN)
    rig.settle(failed(first))
    records = rig.records()
    rig.delete(child)
    rig.delete()
    assert rig.run(rig.store.restore(records)) == 3
    job = rig.read(child)
    assert (job.state, list(job.open_parents), job.parent_failed) == (State.WAITING, [second], True)
    assert job == next(record for record in records if record.id == child)
    rig.cancel(second)
    assert rig.state(child) is State.QUEUED


@pytest.mark.parametrize("order", [1, -1])
def test_a_parent_that_is_put_back_finished_has_its_consequences(rig: Rig, order: int) -> None:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    waiting = rig.read(child)
    rig.settle(completed(parent))
    finished = rig.read(parent.id)
    rig.delete(child, parent.id)
    for job in [waiting, finished][::order]:
        rig.run(rig.store.restore([job]))
    assert rig.state(child) is State.QUEUED
