"""The table of transitions: no verb ever moves a job in a way that the table does not have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stoker.job import FINAL, TRANSITIONS, Claim, State, Verdict
from stoker.store import Action
from stoker.testing.conformance.rig import DAY, HOUR, MINUTE, Rig, failure, verdict

Deed = Callable[[Rig, Claim | None], object]


def settle(kind: Verdict, delay: int = 0) -> Deed:
    def deed(rig: Rig, claim: Claim | None) -> None:
        if claim is not None:
            told = failure(claim) if kind in (Verdict.FAILED, Verdict.RETRY) else None
            rig.settle(verdict(claim, kind, delay=delay, failure=told))

    return deed


def amend(action: Action) -> Deed:
    return lambda rig, claim: rig.amend(action, priority=9)


def asked(rig: Rig, claim: Claim | None) -> None:
    """Ask a processing job to stop; that is no move. Others are cancelled by it."""
    rig.cancel()


def claim_all(rig: Rig, claim: Claim | None) -> None:
    rig.hire("other", lease=DAY)
    rig.claim("other")


def lose(rig: Rig, claim: Claim | None) -> None:
    rig.lose("holder", "other")
    rig.run(rig.store.recover())


def promote(rig: Rig, claim: Claim | None) -> None:
    rig.advance(DAY)
    rig.exchange("nobody")


def prune(rig: Rig, claim: Claim | None) -> None:
    rig.advance(DAY)
    rig.run(rig.store.prune())


DEEDS: dict[str, Deed] = {
    **{f"settle {kind}": settle(kind) for kind in Verdict},
    "settle retry later": settle(Verdict.RETRY, MINUTE),
    "settle snoozed later": settle(Verdict.SNOOZED, HOUR),
    **{f"amend {action}": amend(action) for action in Action},
    "ask to stop": asked,
    "claim": claim_all,
    "lose and recover": lose,
    "promote": promote,
    "prune": prune,
    "pause": lambda rig, claim: rig.run(rig.store.pause("default", True)),
    "insert again": lambda rig, claim: rig.run(rig.store.insert([rig.new(id=id) for id in rig.find()])),
    "restore": lambda rig, claim: rig.run(rig.store.restore(rig.records())),
    "beat": lambda rig, claim: rig.beat("holder"),
    "retire": lambda rig, claim: rig.run(rig.store.retire("holder")),
}

SEEN: dict[State, set[State]] = {
    State.WAITING: {State.CANCELLED},
    State.SCHEDULED: {State.QUEUED, State.CANCELLED},
    State.QUEUED: {State.PROCESSING, State.CANCELLED},
    State.PROCESSING: {State.QUEUED, State.SCHEDULED, State.COMPLETED, State.FAILED, State.CANCELLED},
    State.COMPLETED: set(),
    State.FAILED: {State.QUEUED},
    State.CANCELLED: {State.QUEUED},
}
"""Where the deeds lead, each alone."""


def cleared(rig: Rig) -> Rig:
    """The rig without jobs, workers and pauses."""
    rig.run(rig.store.pause("default", False))
    for worker in rig.workers():
        rig.lose(worker.id)
    rig.delete()
    return rig


def moved(rig: Rig, state: State, deed: Deed) -> State | None:
    """Where one deed leads a job of that state; None: it is gone."""
    claim = None
    if state is State.PROCESSING:
        claim = rig.begin("holder")
        id = claim.id
    else:
        id = rig.make(state)
    rig.hire("holder", lease=30 * DAY)
    deed(rig, claim)
    return rig.state(id) if rig.find(ids=(id,)) else None


@pytest.mark.parametrize("deed", DEEDS)
def test_no_deed_leaves_the_table(rig: Rig, deed: str) -> None:
    for state in State:
        after = moved(cleared(rig), state, DEEDS[deed])
        if after is None:
            assert deed in ("amend delete", "prune")
            assert deed != "prune" or state in FINAL
        elif after is not state:
            assert after in TRANSITIONS[state], state


def test_every_move_that_is_expected_happens(rig: Rig) -> None:
    for state, expected in SEEN.items():
        seen = {moved(cleared(rig), state, deed) for deed in DEEDS.values()}
        assert seen - {None, state} == expected, state


@pytest.mark.parametrize("deed", ["settle crashed", "lose and recover"])
def test_no_crash_at_the_cap_leaves_the_table(rig: Rig, deed: str) -> None:
    claim = rig.begin("holder", max_crashes=1)
    DEEDS[deed](rig, claim)
    assert rig.state(claim.id) is State.FAILED


@pytest.mark.parametrize("first", [f"settle {kind}" for kind in Verdict] + ["lose and recover", "settle retry later"])
def test_no_deed_after_an_order_to_stop_leaves_the_table(rig: Rig, first: str) -> None:
    for second in DEEDS:
        claim = cleared(rig).begin("holder")
        rig.cancel(claim.id)
        before = State.PROCESSING
        for deed in (first, second):
            DEEDS[deed](rig, claim)
            if rig.find(ids=(claim.id,)):
                after = rig.state(claim.id)
                assert after is before or after in TRANSITIONS[before], deed
                before = after
