"""What `Store.restore` promises."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import FINAL, LIVE, Job, Limit, Progress, State, Verdict
from stoker.testing.conformance.rig import (
    DAY,
    HOUR,
    LEASE,
    MINUTE,
    START,
    Rig,
    completed,
    failed,
    ids,
    retried,
    verdict,
)


def taken_out(rig: Rig, *ids: str) -> list[Job]:
    """These records (none given: all), deleted from the store; no worker is alive any more."""
    for worker in rig.workers():
        rig.lose(worker.id)
    jobs = [job for job in rig.records() if not ids or job.id in ids]
    rig.delete(*(job.id for job in jobs))
    return jobs


def restore(rig: Rig, *jobs: Job) -> int:
    return rig.run(rig.store.restore(jobs))


def eventful(rig: Rig) -> str:
    """A failed job with something in every field."""
    claim = rig.begin(
        payload='[["ü",1.5,null],{"k":[true]}]',
        queue="mail",
        priority=3,
        max_attempts=5,
        max_crashes=4,
        keep_for=HOUR + 1,
        owner="u42",
        key="k",
        tags=("a", "b"),
        overrides='{"timeout":5}',
        meta='{"trace":[1]}',
        workflow="flow",
        schedule="nightly",
        limit=Limit("l", concurrency=5),
        share="s",
    )
    rig.advance(SECOND)
    rig.settle(verdict(claim, Verdict.CRASHED))
    (claim,) = rig.claim()
    rig.beat("worker", Progress(claim.ref, claim.fence, 0.5, "half", '{"page":3}'))
    rig.settle(retried(claim, message="first\nline"))
    (claim,) = rig.claim()
    rig.advance(SECOND + 1)
    rig.settle(failed(claim, "last"))
    return claim.id


def test_nothing_to_restore(rig: Rig) -> None:
    assert restore(rig) == 0


@pytest.mark.parametrize("state", State)
def test_a_record_comes_back_as_it_was_in_every_state(rig: Rig, state: State) -> None:
    id = rig.make(state, key="k", owner="o", tags=("x",))
    (job,) = taken_out(rig, id)
    rig.advance(HOUR)
    assert restore(rig, job) == 1
    assert rig.read(id) == job


def test_a_record_comes_back_with_every_fact(rig: Rig) -> None:
    id = eventful(rig)
    (job,) = taken_out(rig)
    never = ("result", "parents", "open_parents")
    assert all(value not in (None, (), {}) for name, value in facts(job).items() if name not in never)
    rig.advance(DAY)
    assert restore(rig, job) == 1
    assert rig.read(id) == job


def facts(job: Job) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(job).items() if name != "cancel_requested"}


@pytest.mark.parametrize("state", State)
def test_a_record_whose_id_exists_is_skipped(rig: Rig, state: State) -> None:
    id = rig.make(state)
    job = rig.read(id)
    other = msgspec.structs.replace(job, task="other", state=State.COMPLETED)
    before = rig.records()
    assert restore(rig, other) == 0
    assert rig.records() == before


def test_a_restore_can_be_repeated(rig: Rig) -> None:
    for state in State:
        rig.make(state)
    jobs = taken_out(rig)
    assert restore(rig, *jobs) == len(jobs)
    before = rig.records()
    assert restore(rig, *jobs) == 0
    assert rig.records() == before == jobs


def test_an_id_that_comes_twice_is_restored_once(rig: Rig) -> None:
    rig.enqueue()
    (job,) = taken_out(rig)
    assert restore(rig, job, job) == 1


@pytest.mark.parametrize("state", sorted(LIVE))
def test_an_unfinished_record_whose_key_is_taken_is_skipped(rig: Rig, state: State) -> None:
    for holder in sorted(LIVE):
        (job,) = taken_out(rig, rig.make(state, key=holder))
        rig.make(holder, key=holder, queue=holder)
        before = rig.records()
        assert restore(rig, job) == 0
        assert rig.records() == before


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_record_needs_no_key(rig: Rig, state: State) -> None:
    (job,) = taken_out(rig, rig.make(state, key="k"))
    present = rig.enqueue(key="k")
    assert restore(rig, job) == 1
    assert sorted(rig.find(key="k")) == sorted([job.id, present])


def test_of_two_unfinished_records_with_one_key_the_first_is_restored(rig: Rig) -> None:
    (one,) = taken_out(rig, rig.enqueue(key="k"))
    (two,) = taken_out(rig, rig.enqueue(key="k"))
    plain = taken_out(rig, rig.enqueue())
    assert restore(rig, one, two, *plain) == 2
    assert rig.find(key="k") == [one.id]


def test_a_restored_unfinished_job_holds_its_key(rig: Rig) -> None:
    (job,) = taken_out(rig, rig.enqueue(key="k"))
    restore(rig, job)
    assert rig.run(rig.store.insert([rig.new(key="k")]))[0].id == job.id


# --- a restored job lives on ----------------------------------------------------------------------------------------


def test_a_restored_queued_job_is_claimed(rig: Rig) -> None:
    claim = rig.begin()
    rig.settle(retried(claim))
    (job,) = taken_out(rig)
    restore(rig, job)
    rig.hire()
    (again,) = rig.claim()
    assert (again.id, again.attempt, again.fence) == (claim.id, 2, claim.fence + 1)


def test_restored_jobs_have_their_places_by_priority_and_time(rig: Rig) -> None:
    low, late = rig.enqueue(priority=-1), rig.enqueue(run_at=START - 1)
    early, high = rig.enqueue(run_at=START - 2), rig.enqueue(priority=1)
    restore(rig, *taken_out(rig))
    present = rig.enqueue()
    rig.hire()
    assert ids(rig.claim()) == [high, early, late, present, low]


def test_a_restored_scheduled_job_becomes_due(rig: Rig) -> None:
    rig.enqueue(delay=MINUTE)
    (job,) = taken_out(rig)
    restore(rig, job)
    rig.hire(lease=DAY)
    assert rig.exchange(limit=1).due_in == MINUTE
    rig.advance(MINUTE)
    assert ids(rig.claim()) == [job.id]


def test_a_restored_processing_job_is_recovered(rig: Rig) -> None:
    claim = rig.begin()
    restore(rig, *taken_out(rig))
    assert rig.run(rig.store.recover()).queued == 1
    assert rig.read(claim.id).crashes == 1
    assert rig.settle(completed(claim)) == [claim.ref]


def test_a_restored_processing_job_without_a_worker_is_recovered(rig: Rig) -> None:
    rig.begin()
    (job,) = taken_out(rig)
    assert restore(rig, msgspec.structs.replace(job, worker=None)) == 1
    rig.hire()
    assert rig.run(rig.store.recover()).queued == 1
    assert ids(rig.claim()) == [job.id]


def test_a_restored_processing_job_without_a_worker_keeps_no_dead_worker_known(rig: Rig) -> None:
    rig.begin()
    (job,) = taken_out(rig)
    rig.hire("idle")
    restore(rig, msgspec.structs.replace(job, worker=None))
    rig.advance(LEASE)
    rig.run(rig.store.recover(0))
    assert rig.workers() == []


def test_a_restored_processing_job_that_was_asked_to_cancel_still_is(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id)
    (job,) = taken_out(rig)
    assert job.cancel_requested
    restore(rig, job)
    assert rig.read(job.id) == job
    rig.recover_all()
    assert rig.state(job.id) is State.CANCELLED


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_restored_finished_job_is_pruned_in_its_time(rig: Rig, state: State) -> None:
    (job,) = taken_out(rig, rig.make(state, keep_for=HOUR))
    rig.advance(HOUR - 1)
    restore(rig, job)
    assert rig.run(rig.store.prune()) == 0
    rig.advance(1)
    assert rig.run(rig.store.prune()) == 1


def test_whether_a_job_is_finished_is_said_by_its_state(rig: Rig) -> None:
    done, open_ = taken_out(rig, rig.make(State.COMPLETED, keep_for=0))[0], taken_out(rig, rig.enqueue(keep_for=0))[0]
    odd = [
        msgspec.structs.replace(done, finished_at=None),
        msgspec.structs.replace(open_, finished_at=to_datetime(START)),
    ]
    assert restore(rig, *odd) == 2
    assert rig.run(rig.store.prune()) == 1
    assert rig.find() == [open_.id]


def test_a_restored_failed_job_is_retried(rig: Rig) -> None:
    id = eventful(rig)
    restore(rig, *taken_out(rig))
    assert rig.retry(id) == 1
    assert rig.run(rig.store.insert([rig.new(key="k")]))[0].id == id
    assert [entry.message for entry in rig.read(id).errors] == ["first\nline", "last"]


def test_thousands_at_once(rig: Rig) -> None:
    rig.enqueue_many(3000)
    rig.hire()
    rig.settle(*map(completed, rig.claim(limit=1000)))
    jobs = taken_out(rig)
    assert restore(rig, *jobs) == 3000
    assert rig.records() == jobs
