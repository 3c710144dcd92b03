"""At most one unfinished job has a key, through whatever happens to the jobs."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND
from stoker.job import LIVE, State, Verdict
from stoker.testing.conformance.rig import DAY, LEASE, MINUTE, Rig, completed, retried, verdict


def holders(rig: Rig, key: str = "k") -> list[str]:
    return rig.find(key=key, states=tuple(LIVE))


def test_a_key_goes_from_job_to_job(rig: Rig) -> None:
    for _ in range(5):
        claim = rig.begin(key="k")
        assert holders(rig) == [claim.id]
        rig.settle(completed(claim))
        assert holders(rig) == []
    assert len(rig.find(key="k")) == 5


def test_a_key_is_held_through_a_long_life(rig: Rig) -> None:
    claim = rig.begin(key="k", delay=0, max_crashes=9)
    for kind in (Verdict.RETRY, Verdict.SNOOZED, Verdict.RELEASED, Verdict.CRASHED):
        assert holders(rig) == [claim.id]
        rig.settle(verdict(claim, kind))
        assert holders(rig) == [claim.id]
        (claim,) = rig.claim()
    rig.lose("worker")
    rig.recover_all()
    assert holders(rig) == [claim.id]
    (answer,) = rig.run(rig.store.insert([rig.new(key="k")]))
    assert (answer.id, answer.created) == (claim.id, False)


def test_a_retry_with_its_own_key_meets_nobody(rig: Rig) -> None:
    claim = rig.begin(key="k")
    rig.settle(retried(claim, delay=SECOND))
    rig.hire(lease=DAY)
    rig.advance(SECOND)
    rig.exchange(limit=0)
    assert rig.state(claim.id) is State.QUEUED


def test_a_crash_cap_frees_the_key_that_recovery_left(rig: Rig) -> None:
    claim = rig.begin(key="k", max_crashes=1)
    rig.advance(LEASE)
    rig.run(rig.store.recover())
    assert holders(rig) == []
    rig.enqueue(key="k")
    assert rig.retry(claim.id) == 0


@pytest.mark.parametrize("way", ["delete", "prune"])
def test_a_record_that_is_gone_holds_no_key(rig: Rig, way: str) -> None:
    claim = rig.begin(key="k", keep_for=MINUTE)
    rig.settle(completed(claim))
    if way == "delete":
        rig.delete(claim.id)
    else:
        rig.advance(MINUTE)
        rig.run(rig.store.prune())
    rig.enqueue(key="k")


def test_a_deleted_holder_frees_its_key_for_a_twin(rig: Rig) -> None:
    old = rig.make(State.FAILED, key="k")
    holder = rig.enqueue(key="k")
    assert rig.retry(old) == 0
    rig.delete(holder)
    assert rig.retry(old) == 1
    assert holders(rig) == [old]


def test_settling_one_job_frees_no_other_jobs_key(rig: Rig) -> None:
    first, second = rig.begin(key="a"), rig.begin(key="b")
    rig.settle(completed(first))
    assert holders(rig, "a") == []
    assert holders(rig, "b") == [second.id]


def test_a_stale_outcome_does_not_free_a_key(rig: Rig) -> None:
    stale = rig.begin("slow", key="k")
    rig.lose("slow")
    rig.recover_all()
    assert rig.settle(completed(stale)) == [stale.ref]
    assert holders(rig) == [stale.id]


def test_a_key_freed_by_an_outcome_is_free_in_the_next_insert_at_once(rig: Rig) -> None:
    claims = [rig.begin(key=f"k{i}") for i in range(50)]
    rig.settle(*map(completed, claims))
    answers = rig.run(rig.store.insert([rig.new(key=f"k{i}") for i in range(50)]))
    assert all(answer.created for answer in answers)
