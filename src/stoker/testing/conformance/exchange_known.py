"""What `Store.exchange` promises of claims whose reply was lost: `known` says which ones arrived."""

from __future__ import annotations

from stoker.job import State
from stoker.testing.conformance.rig import Rig, completed, ids


def test_a_claim_that_is_not_known_is_given_back_and_not_charged(rig: Rig) -> None:
    known, lost = rig.begin(), rig.begin()
    rig.exchange(known=[known.ref])
    assert rig.states([known.id, lost.id]) == [State.PROCESSING, State.QUEUED]
    assert (rig.read(lost.id).attempt, rig.read(lost.id).crashes) == (0, 0)


def test_it_can_be_claimed_in_the_same_exchange(rig: Rig) -> None:
    lost = rig.begin()
    [again] = rig.exchange(known=[], limit=5).claims
    assert (again.id, again.attempt) == (lost.id, 1)
    assert again.fence > lost.fence


def test_its_late_outcome_is_refused(rig: Rig) -> None:
    lost = rig.begin()
    rig.exchange(known=[])
    assert rig.settle(completed(lost)) == [lost.ref]


def test_an_outcome_of_the_same_exchange_counts(rig: Rig) -> None:
    claim = rig.begin()
    rig.exchange("worker", completed(claim), known=[])
    assert rig.state(claim.id) is State.COMPLETED


def test_claims_of_others_are_not_touched(rig: Rig) -> None:
    mine, theirs = rig.begin("mine"), rig.begin("theirs")
    rig.exchange("mine", known=[])
    assert rig.states([mine.id, theirs.id]) == [State.QUEUED, State.PROCESSING]


def test_without_it_nothing_is_given_back(rig: Rig) -> None:
    claim = rig.begin()
    assert ids(rig.exchange(limit=5).claims) == []
    assert rig.state(claim.id) is State.PROCESSING


def test_one_that_was_asked_to_stop_ends_as_cancelled(rig: Rig) -> None:
    lost = rig.begin()
    rig.cancel(lost.id, reason="not needed")
    rig.exchange(known=[])
    assert (rig.state(lost.id), rig.read(lost.id).error) == (State.CANCELLED, "not needed")
