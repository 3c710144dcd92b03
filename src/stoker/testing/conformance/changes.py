"""What `Store.changes` promises: whoever watches jobs by their `updated_at` misses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from stoker.clock import SECOND, to_instant
from stoker.job import Guard, Job, Limit, ParentFailure, Progress, State, Verdict
from stoker.store import Action, Fair, QueueLimit
from stoker.testing.conformance.rig import DAY, LEASE, Rig, completed, failed, failure, verdict
from stoker.views import Changes

Deed = tuple[str, Callable[[], object]]
"""The job that is changed by it, and what changes it."""


def watch(rig: Rig) -> dict[str, int]:
    """All jobs as they are seen now."""
    return {job.id: to_instant(job.updated_at) for job in rig.records()}


def changes(rig: Rig, seen: dict[str, int]) -> Changes:
    """What changed since."""
    found = rig.run(rig.store.changes(seen))
    return Changes(list(found.jobs), list(found.gone))


def test_nothing_is_watched(rig: Rig) -> None:
    rig.enqueue()
    assert changes(rig, {}) == Changes([], [])


def test_what_is_as_it_was_is_left_out(rig: Rig) -> None:
    rig.enqueue_many(3)
    assert changes(rig, watch(rig)) == Changes([], [])


def test_what_was_never_seen_is_shown_as_it_is_read(rig: Rig) -> None:
    first, second = rig.make(State.WAITING, key="k", tags=("a", "b")), rig.make(State.FAILED)
    assert changes(rig, {second: 0, first: 0}).jobs == [rig.read(first), rig.read(second)]


def test_only_those_that_changed_are_shown_by_id(rig: Rig) -> None:
    ids = rig.enqueue_many(5)
    seen = watch(rig)
    rig.advance(1)
    rig.cancel(ids[3], ids[1])
    assert [job.id for job in changes(rig, seen).jobs] == [ids[1], ids[3]]


def test_jobs_that_nobody_asked_for_are_not_shown(rig: Rig) -> None:
    mine, other = rig.enqueue_many(2)
    seen = watch(rig)
    del seen[other]
    rig.advance(1)
    rig.cancel(mine, other)
    assert [job.id for job in changes(rig, seen).jobs] == [mine]


def test_what_is_gone_is_named(rig: Rig) -> None:
    first, second, third = rig.enqueue_many(3)
    seen = watch(rig) | {"never": 5, 'Nobody\'s "ü" \\ %': 0}
    rig.delete(first, third)
    assert changes(rig, seen) == Changes([], sorted(["never", 'Nobody\'s "ü" \\ %', first, third]))
    assert rig.state(second) is State.QUEUED


def test_a_clock_that_stepped_back_hides_nothing(rig: Rig) -> None:
    id = rig.enqueue()
    seen = watch(rig)
    rig.advance(-SECOND)
    rig.cancel(id)
    assert [job.state for job in changes(rig, seen).jobs] == [State.CANCELLED]


def test_ten_thousand_at_once(rig: Rig) -> None:
    ids = rig.enqueue_many(10_000)
    seen = watch(rig)
    assert changes(rig, seen) == Changes([], [])
    rig.advance(1)
    rig.cancel(*ids[::1000])
    rig.delete(*ids[1::1000])
    found = changes(rig, seen)
    assert [job.id for job in found.jobs] == ids[::1000]
    assert found.gone == ids[1::1000]


# --- whatever a reader can tell changes it --------------------------------------------------------------------------


def claimed(rig: Rig) -> Deed:
    id = rig.enqueue()
    rig.hire()
    return id, rig.claim


def reported(**words: Any) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        claim = rig.begin()
        return claim.id, lambda: rig.beat("worker", Progress(claim.ref, claim.fence, **words))

    return prepare


def settled(kind: Verdict, delay: int = 0, **facts: Any) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        claim = rig.begin(**facts)
        told = failure(claim) if kind in (Verdict.FAILED, Verdict.RETRY) else None
        return claim.id, lambda: rig.settle(verdict(claim, kind, delay=delay, failure=told))

    return prepare


def amended(action: Action, state: State) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        id = rig.make(state)
        return id, lambda: rig.amend(action, id, priority=7)

    return prepare


def requeued(rig: Rig) -> Deed:
    id = rig.make(State.PROCESSING)
    rig.lose("holder")
    return id, lambda: rig.amend(Action.REQUEUE, id)


def retried_to_wait(rig: Rig) -> Deed:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    rig.settle(failed(parent))
    return child, lambda: rig.retry(parent.id, child)


def promoted(rig: Rig) -> Deed:
    id = rig.enqueue(delay=SECOND)
    rig.advance(SECOND)
    return id, rig.exchange


def recovered(**facts: Any) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        claim = rig.begin(**facts)
        rig.advance(LEASE)
        return claim.id, rig.recover_all

    return prepare


def recovered_when_asked(rig: Rig) -> Deed:
    claim = rig.begin()
    rig.cancel(claim.id)
    rig.advance(LEASE)
    return claim.id, rig.recover_all


def given_back(rig: Rig) -> Deed:
    return rig.begin().id, lambda: rig.exchange(known=[])


def last_parent(well: bool, policy: ParentFailure) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        parent = rig.begin()
        child = rig.enqueue(parents=(parent.id,), on_parent_failure=policy)
        return child, lambda: rig.settle(completed(parent) if well else failed(parent))

    return prepare


def one_of_two_parents(well: bool, policy: ParentFailure = ParentFailure.RUN) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        parent, other = rig.begin(), rig.enqueue()
        child = rig.enqueue(parents=(parent.id, other), on_parent_failure=policy)
        return child, lambda: rig.settle(completed(parent) if well else failed(parent))

    return prepare


def grandparent(rig: Rig) -> Deed:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    grandchild = rig.enqueue(parents=(child,))
    return grandchild, lambda: rig.settle(failed(parent))


def deleted_parent(policy: ParentFailure) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        parent, other = rig.enqueue_many(2)
        child = rig.enqueue(parents=(parent, other), on_parent_failure=policy)
        return child, lambda: rig.delete(parent)

    return prepare


def extended(rig: Rig) -> Deed:
    parent = rig.begin()
    child = rig.enqueue(parents=(parent.id,))
    return child, lambda: rig.enqueue(extends=parent.id)


def debounced(span: int) -> Callable[[Rig], Deed]:
    def prepare(rig: Rig) -> Deed:
        id = rig.enqueue(guard=Guard("g", SECOND, last=True))
        guard = Guard("g", span, last=True)
        return id, lambda: rig.run(rig.store.insert([rig.new(guard=guard, payload="[[1],{}]")]))

    return prepare


def restored_parent(rig: Rig) -> Deed:
    claim, other = rig.begin(), rig.enqueue()
    child = rig.enqueue(parents=(claim.id, other), on_parent_failure=ParentFailure.RUN)
    dump = rig.read(child)
    rig.settle(completed(claim))
    parent = rig.read(claim.id)
    rig.delete(child, parent.id)
    rig.run(rig.store.restore([dump]))
    return child, lambda: rig.run(rig.store.restore([parent]))


DEEDS: dict[str, Callable[[Rig], Deed]] = {
    "claim": claimed,
    "report progress": reported(progress=0.5),
    "report a message": reported(message="half"),
    "report a checkpoint": reported(checkpoint="[1]"),
    **{f"settle {kind}": settled(kind) for kind in Verdict},
    "settle retry later": settled(Verdict.RETRY, SECOND),
    "settle snoozed later": settled(Verdict.SNOOZED, SECOND),
    "settle crashed for good": settled(Verdict.CRASHED, max_crashes=1),
    "settle with a limit": settled(Verdict.RELEASED, limit=Limit("k", concurrency=1)),
    **{
        f"cancel {state}": amended(Action.CANCEL, state)
        for state in sorted(State)
        if state not in ("completed", "failed", "cancelled")
    },
    "retry failed": amended(Action.RETRY, State.FAILED),
    "retry cancelled": amended(Action.RETRY, State.CANCELLED),
    "retry to wait": retried_to_wait,
    "prioritise queued": amended(Action.PRIORITISE, State.QUEUED),
    "prioritise scheduled": amended(Action.PRIORITISE, State.SCHEDULED),
    "prioritise waiting": amended(Action.PRIORITISE, State.WAITING),
    "requeue": requeued,
    "promote": promoted,
    "recover": recovered(),
    "recover for good": recovered(max_crashes=1),
    "recover what was asked to stop": recovered_when_asked,
    "give back": given_back,
    "release": last_parent(True, ParentFailure.CANCEL),
    "not needed": last_parent(True, ParentFailure.ONLY),
    "cancel for a parent": last_parent(False, ParentFailure.CANCEL),
    "release after a failure": last_parent(False, ParentFailure.RUN),
    "one of two parents": one_of_two_parents(True),
    "one of two parents failed": one_of_two_parents(False),
    "one of two parents, held": one_of_two_parents(True, ParentFailure.HOLD),
    "grandparent failed": grandparent,
    **{f"parent deleted, {policy}": deleted_parent(policy) for policy in ParentFailure},
    "extend": extended,
    "debounce": debounced(SECOND),
    "debounce to now": debounced(0),
    "restore a parent": restored_parent,
}


@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_a_reader_can_tell_is_a_change(rig: Rig, deed: str) -> None:
    id, act = DEEDS[deed](rig)
    before = {job.id: job for job in rig.records()}
    seen = watch(rig)
    rig.advance(1)
    act()
    told = {job.id for job in changes(rig, seen).jobs}
    assert id in told
    after = {job.id: job for job in rig.records() if job.id in before}
    assert {id for id, job in after.items() if _timeless(job) != _timeless(before[id])} <= told


def test_being_passed_over_changes_nothing(rig: Rig) -> None:
    rig.enqueue_many(5, limit=Limit("k", concurrency=1), owner="u")
    rig.enqueue(delay=DAY)
    rig.run(rig.store.limit("default", QueueLimit(fair=Fair.OWNER)))
    rig.hire()
    (claim,) = rig.claim(limit=1)
    seen = watch(rig)
    rig.advance(1)
    rig.exchange(limit=9)
    rig.run(rig.store.pause("default", True))
    rig.hear()
    rig.beat(lease=LEASE)
    assert changes(rig, seen) == Changes([], [])
    rig.settle(completed(claim))
    assert [job.id for job in changes(rig, seen).jobs] == [claim.id]


def _timeless(job: Job) -> Job:
    return replace(job, updated_at=job.created_at)
