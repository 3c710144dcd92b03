"""What `Store.register`, `heartbeat`, `hear` and `retire` promise: how a worker stays alive and what it hears."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import Claim, Progress, State, Verdict
from stoker.store import Orders, Worker
from stoker.testing.conformance.rig import LEASE, START, Rig, completed, ids, retried, verdict

STORY: dict[str, Any] = {"progress": 0.5, "message": "half", "checkpoint": '{"page":3}'}


def test_a_registered_worker_is_known_and_alive(rig: Rig) -> None:
    told = Worker(
        id="w",
        host="höst",
        pid=4242,
        version="1.2.3",
        queues=("mail", "default"),
        tags=("gpu",),
        concurrency=7,
        started_at=5,  # what the store sets is not taken from the worker, whose clock may be wrong
        seen_at=6,
        lease_until=7,
        running=8,
    )
    rig.run(rig.store.register(told, LEASE))
    assert rig.worker("w") == Worker(
        id="w",
        host="höst",
        pid=4242,
        version="1.2.3",
        queues=("mail", "default"),
        tags=("gpu",),
        concurrency=7,
        started_at=START,
        seen_at=START,
        lease_until=START + LEASE,
        running=0,
    )
    assert rig.hear("w") == Orders(True, [])


def test_registering_again_renews_the_lease(rig: Rig) -> None:
    rig.hire(lease=LEASE)
    rig.advance(SECOND)
    rig.hire(lease=LEASE)
    worker = rig.worker()
    assert worker is not None
    assert (worker.started_at, worker.seen_at) == (START, START + SECOND)
    assert worker.lease_until == START + SECOND + LEASE


def test_registering_again_takes_the_new_introduction(rig: Rig) -> None:
    rig.hire(concurrency=1, queues=("a",), tags=("x",))
    rig.hire(concurrency=2, queues=(), tags=("y", "z"), version="2", host="other", pid=2)
    worker = rig.worker()
    assert worker is not None
    assert (worker.concurrency, worker.queues, worker.tags) == (2, (), ("y", "z"))
    assert (worker.version, worker.host, worker.pid) == ("2", "other", 2)


def test_a_worker_whose_lease_ran_out_may_register_again(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(2 * LEASE)
    rig.hire()
    assert rig.hear("worker").alive
    assert rig.run(rig.store.recover()).queued == 0
    assert rig.settle(completed(claim)) == []


# --- the lease ------------------------------------------------------------------------------------------------------


def test_a_heartbeat_renews_the_lease(rig: Rig) -> None:
    rig.hire(lease=LEASE)
    for _ in range(20):
        rig.advance(LEASE - 1)
        assert rig.beat("worker", lease=LEASE) == Orders(True, [])
    worker = rig.worker()
    assert worker is not None
    assert (worker.seen_at, worker.lease_until) == (rig.now, rig.now + LEASE)
    assert worker.started_at == START


def test_a_heartbeat_without_a_lease_leaves_it(rig: Rig) -> None:
    rig.hire(lease=LEASE)
    rig.advance(LEASE - 1)
    assert rig.beat("worker").alive
    worker = rig.worker()
    assert worker is not None
    assert worker.lease_until == START + LEASE
    rig.advance(1)
    assert not rig.beat("worker").alive


def test_a_lease_can_be_made_shorter(rig: Rig) -> None:
    rig.hire(lease=LEASE)
    rig.beat("worker", lease=SECOND)
    rig.advance(SECOND)
    assert not rig.hear("worker").alive


def test_a_lease_that_ran_out_is_not_renewed(rig: Rig) -> None:
    rig.hire(lease=LEASE)
    rig.advance(LEASE)
    assert not rig.beat("worker", lease=LEASE).alive
    assert not rig.beat("worker", lease=LEASE).alive
    assert rig.exchange(limit=1).alive is False


def test_a_stranger_is_not_alive_and_a_heartbeat_does_not_make_it_known(rig: Rig) -> None:
    assert rig.hear("stranger") == Orders(False, [])
    assert rig.beat("stranger", lease=LEASE) == Orders(False, [])
    assert rig.workers() == []


def test_one_worker_does_not_renew_the_lease_of_another(rig: Rig) -> None:
    rig.hire("w1")
    rig.hire("w2")
    rig.advance(LEASE - 1)
    rig.beat("w1", lease=LEASE)
    rig.advance(1)
    assert rig.hear("w1").alive
    assert not rig.hear("w2").alive


# --- progress -------------------------------------------------------------------------------------------------------


def report(rig: Rig, claim: Claim, worker: str = "worker", **words: Any) -> None:
    rig.beat(worker, Progress(claim.ref, claim.fence, **words))


def test_progress_is_recorded(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(SECOND)
    report(rig, claim, **STORY)
    job = rig.read(claim.id)
    assert (job.state, job.progress, job.message, job.checkpoint) == (State.PROCESSING, 0.5, "half", {"page": 3})
    assert job.updated_at == to_datetime(START + SECOND)
    assert job.started_at == to_datetime(START)


def test_what_a_report_does_not_say_stays(rig: Rig) -> None:
    claim = rig.begin()
    report(rig, claim, **STORY)
    report(rig, claim, progress=0.75)
    report(rig, claim, message="")
    report(rig, claim, checkpoint="[]")
    report(rig, claim)
    job = rig.read(claim.id)
    assert (job.progress, job.message, job.checkpoint) == (0.75, "", [])


def test_the_last_of_several_reports_of_one_claim_counts(rig: Rig) -> None:
    claim = rig.begin()
    reports = [Progress(claim.ref, claim.fence, progress=step / 4, message=str(step)) for step in range(5)]
    rig.beat("worker", *reports)
    job = rig.read(claim.id)
    assert (job.progress, job.message) == (1.0, "4")


def test_reports_of_many_claims_at_once(rig: Rig) -> None:
    rig.enqueue_many(200)
    rig.hire()
    claims = rig.claim()
    reports = [Progress(c.ref, c.fence, progress=0.25, message=c.id) for c in claims[::2]]
    rig.beat("worker", *reports, lease=LEASE)
    told = {job.id: job.message for job in rig.records()}
    assert [told[claim.id] for claim in claims] == [c.id if i % 2 == 0 else None for i, c in enumerate(claims)]


def test_a_report_can_be_repeated(rig: Rig) -> None:
    claim = rig.begin()
    report(rig, claim, **STORY)
    before = rig.records()
    report(rig, claim, **STORY)
    assert rig.records() == before


def test_a_stale_report_is_ignored(rig: Rig) -> None:
    stale = rig.begin("slow")
    rig.lose("slow")
    rig.recover_all()
    rig.hire("quick")
    (present,) = rig.claim("quick")
    report(rig, present, progress=0.1, message="quick")
    before = rig.records()
    rig.advance(SECOND)
    report(rig, stale, "slow", **STORY)
    assert rig.records() == before


@pytest.mark.parametrize("kind", Verdict)
def test_a_report_after_the_outcome_is_ignored(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, kind))
    before = rig.records()
    rig.advance(SECOND)
    report(rig, claim, **STORY)
    assert rig.records() == before


def test_reports_of_claims_that_never_were_are_ignored(rig: Rig) -> None:
    claim = rig.begin()
    before = rig.records()
    rig.advance(SECOND)
    reports = [Progress(ref, fence, 0.5, "x", "1") for ref, fence in ((0, 0), (-1, 1), (2**40, 1), (claim.ref, 0))]
    rig.beat("worker", *reports)
    assert rig.records() == before


def test_a_stale_report_does_not_keep_the_true_ones_out(rig: Rig) -> None:
    claim = rig.begin()
    reports = [Progress(claim.ref, 99, 0.9), Progress(claim.ref, claim.fence, 0.5), Progress(claim.ref + 99, 1, 0.9)]
    rig.beat("worker", *reports)
    assert rig.read(claim.id).progress == 0.5


def test_a_report_is_recorded_while_the_claim_is_held_also_of_a_dead_worker(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(2 * LEASE)
    report(rig, claim, **STORY)
    assert rig.read(claim.id).progress == 0.5
    assert rig.run(rig.store.recover()).queued == 1


def test_the_next_attempt_is_given_the_checkpoint_and_starts_from_the_progress(rig: Rig) -> None:
    claim = rig.begin()
    report(rig, claim, **STORY)
    rig.settle(retried(claim))
    (again,) = rig.claim()
    assert again.checkpoint == '{"page":3}'
    assert rig.read(claim.id).progress == 0.5


# --- orders ---------------------------------------------------------------------------------------------------------


def test_a_worker_hears_which_of_its_claims_are_asked_to_stop(rig: Rig) -> None:
    first, second, third = rig.begin("w1"), rig.begin("w2"), rig.begin("w1")
    rig.begin("w1")
    assert rig.cancel(first.id, second.id, third.id) == 3
    for ask in (rig.hear, rig.beat):
        assert ask("w2") == Orders(True, [(second.ref, second.fence)])
        orders = ask("w1")
        assert sorted(orders.cancel) == sorted([(first.ref, first.fence), (third.ref, third.fence)])


def test_an_order_is_heard_until_the_claim_is_settled(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id)
    for _ in range(3):
        assert rig.beat("worker", lease=LEASE).cancel == [(claim.ref, claim.fence)]
    rig.settle(completed(claim))
    assert rig.beat("worker").cancel == []


def test_an_order_is_not_heard_once_the_claim_was_taken_away(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id)
    rig.advance(LEASE)
    assert rig.hear("worker") == Orders(False, [(claim.ref, claim.fence)])
    rig.recover_all()
    assert rig.hear("worker") == Orders(False, [])


def test_to_hear_changes_nothing(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id)
    before = (rig.records(), rig.run(rig.store.census()))
    rig.advance(SECOND)
    rig.hear("worker")
    assert (rig.records(), rig.run(rig.store.census())) == before


def test_a_heartbeat_can_bring_progress_renew_and_hear_at_once(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id)
    rig.advance(LEASE - 1)
    orders = rig.beat("worker", Progress(claim.ref, claim.fence, 0.5), lease=LEASE)
    assert orders == Orders(True, [(claim.ref, claim.fence)])
    rig.advance(LEASE - 1)
    assert rig.hear("worker").alive
    assert rig.read(claim.id).progress == 0.5


# --- the end --------------------------------------------------------------------------------------------------------


def test_a_retired_worker_is_forgotten(rig: Rig) -> None:
    rig.hire()
    rig.run(rig.store.retire("worker"))
    assert rig.worker() is None
    assert rig.hear("worker") == Orders(False, [])


def test_to_retire_can_be_repeated_and_strangers_may(rig: Rig) -> None:
    rig.hire("other")
    for _ in range(2):
        rig.run(rig.store.retire("stranger"))
    assert rig.worker("other") is not None


def test_what_a_retired_worker_holds_is_recovered_at_once(rig: Rig) -> None:
    claim = rig.begin("w1")
    rig.run(rig.store.retire("w1"))
    assert rig.state(claim.id) is State.PROCESSING
    assert rig.run(rig.store.recover()).queued == 1
    rig.hire("w2")
    assert ids(rig.claim("w2")) == [claim.id]
