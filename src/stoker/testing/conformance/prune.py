"""What `Store.prune` promises."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND
from stoker.job import FINAL, LIVE, State, Verdict
from stoker.testing.conformance.rig import DAY, HOUR, MINUTE, Rig, completed, verdict


def finish(rig: Rig, keep_for: int) -> str:
    claim = rig.begin(keep_for=keep_for)
    rig.settle(completed(claim))
    return claim.id


def test_nothing_to_prune(rig: Rig) -> None:
    assert rig.run(rig.store.prune()) == 0


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_job_is_deleted_once_its_retention_is_over(rig: Rig, state: State) -> None:
    id = rig.make(state, keep_for=HOUR)
    rig.advance(HOUR - 1)
    assert rig.run(rig.store.prune()) == 0
    assert rig.find() == [id]
    rig.advance(1)
    assert rig.run(rig.store.prune()) == 1
    assert rig.find() == []


@pytest.mark.parametrize("state", sorted(LIVE))
def test_an_unfinished_job_is_never_deleted(rig: Rig, state: State) -> None:
    rig.make(state, keep_for=0)
    before = rig.records()
    rig.advance(1000 * DAY)
    assert rig.run(rig.store.prune()) == 0
    assert rig.records() == before


def test_the_retention_is_counted_from_the_end(rig: Rig) -> None:
    claim = rig.begin(keep_for=MINUTE)
    rig.advance(DAY)
    rig.settle(completed(claim))
    assert rig.run(rig.store.prune()) == 0
    rig.advance(MINUTE)
    assert rig.run(rig.store.prune()) == 1


def test_a_retention_of_nothing_is_over_at_once(rig: Rig) -> None:
    finish(rig, 0)
    assert rig.run(rig.store.prune()) == 1


def test_each_job_has_its_own_retention(rig: Rig) -> None:
    long, short = finish(rig, HOUR), finish(rig, MINUTE)
    rig.advance(MINUTE)
    assert rig.run(rig.store.prune()) == 1
    assert rig.find() == [long]
    assert short not in rig.find()


def test_jobs_are_deleted_up_to_the_limit_those_that_are_longest_over_first(rig: Rig) -> None:
    made = [finish(rig, span * SECOND) for span in (5, 1, 4, 2, 3)]
    rig.advance(MINUTE)
    assert rig.run(rig.store.prune(2)) == 2
    assert sorted(rig.find()) == [made[0], made[2], made[4]]
    assert [rig.run(rig.store.prune(2)) for _ in range(3)] == [2, 1, 0]
    assert rig.find() == []


def test_a_limit_of_none_deletes_none(rig: Rig) -> None:
    finish(rig, 0)
    assert rig.run(rig.store.prune(0)) == 0


def test_a_retried_job_is_not_deleted_and_its_retention_begins_anew(rig: Rig) -> None:
    id = rig.make(State.FAILED, keep_for=HOUR)
    rig.advance(HOUR - SECOND)
    rig.retry(id)
    rig.advance(HOUR)
    assert rig.run(rig.store.prune()) == 0
    rig.hire("holder")
    (claim,) = rig.claim("holder")
    rig.settle(verdict(claim, Verdict.CANCELLED))
    rig.advance(HOUR - 1)
    assert rig.run(rig.store.prune()) == 0
    rig.advance(1)
    assert rig.run(rig.store.prune()) == 1


def test_pruning_leaves_the_key_to_the_job_that_has_it_now(rig: Rig) -> None:
    old = rig.make(State.COMPLETED, keep_for=0, key="k")
    present = rig.enqueue(key="k")
    assert rig.run(rig.store.prune()) == 1
    assert rig.find() == [present]
    (answer,) = rig.run(rig.store.insert([rig.new(key="k")]))
    assert (answer.id, answer.created) == (present, False)
    assert old != present


def test_the_id_of_a_deleted_job_is_unknown(rig: Rig) -> None:
    id = finish(rig, 0)
    rig.run(rig.store.prune())
    assert rig.enqueue(id=id) == id


def test_a_claim_of_a_deleted_job_is_never_another_jobs(rig: Rig) -> None:
    claim = rig.begin(keep_for=0)
    rig.settle(completed(claim))
    rig.run(rig.store.prune())
    again = rig.begin()
    assert (again.ref, again.fence) != (claim.ref, claim.fence)
    assert rig.settle(completed(claim)) == [claim.ref]
    assert rig.state(again.id) is State.PROCESSING


def test_thousands_in_batches(rig: Rig) -> None:
    rig.enqueue_many(2500, keep_for=MINUTE)
    rig.hire()
    rig.settle(*map(completed, rig.claim()))
    rig.advance(MINUTE)
    assert [rig.run(rig.store.prune()) for _ in range(4)] == [1000, 1000, 500, 0]
