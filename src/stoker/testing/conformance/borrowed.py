"""What a store that `borrows` promises: a job that is inserted in the caller's own transaction shares its fate."""

from __future__ import annotations

import pytest

from stoker.job import Inserted, State
from stoker.testing.conformance.rig import Rig, ids


@pytest.fixture(autouse=True)
def _borrows(rig: Rig) -> None:
    if not rig.traits.borrows:
        pytest.skip("this store cannot run in the caller's own transaction")


def test_committed_the_job_is_there(rig: Rig) -> None:
    job = rig.new(key="k")
    with rig.borrowed() as transaction:
        assert transaction.run(rig.store.insert([job])) == [Inserted(job.id, created=True)]
        transaction.commit()
    assert rig.state(job.id) is State.QUEUED
    rig.hire()
    assert ids(rig.claim()) == [job.id]


def test_rolled_back_there_is_no_job_and_no_key_is_taken(rig: Rig) -> None:
    job = rig.new(key="k")
    with rig.borrowed() as transaction:
        transaction.run(rig.store.insert([job, rig.new()]))
        transaction.rollback()
    assert rig.find() == []
    assert rig.enqueue(id=job.id, key="k") == job.id


def test_nobody_else_sees_the_job_before_the_commit(rig: Rig) -> None:
    with rig.borrowed() as transaction:
        transaction.run(rig.store.insert([rig.new()]))
        assert rig.find() == []
        transaction.commit()
    assert len(rig.find()) == 1


def test_several_inserts_share_one_fate(rig: Rig) -> None:
    first, second = rig.new(key="k"), rig.new(key="k")
    with rig.borrowed() as transaction:
        transaction.run(rig.store.insert([first]))
        assert transaction.run(rig.store.insert([second])) == [Inserted(first.id, created=False)]
        transaction.commit()
    assert rig.find() == [first.id]


def test_a_taken_key_is_seen_from_within(rig: Rig) -> None:
    holder = rig.enqueue(key="k")
    with rig.borrowed() as transaction:
        assert transaction.run(rig.store.insert([rig.new(key="k")])) == [Inserted(holder, created=False)]
        transaction.commit()


def test_the_same_insert_may_follow_an_unsure_commit(rig: Rig) -> None:
    job = rig.new()
    with rig.borrowed() as transaction:
        transaction.run(rig.store.insert([job]))
        transaction.commit()
    with rig.borrowed() as transaction:
        assert transaction.run(rig.store.insert([job])) == [Inserted(job.id, created=False)]
        transaction.commit()
    assert rig.find() == [job.id]


def test_many_jobs_at_once(rig: Rig) -> None:
    jobs = [rig.new() for _ in range(500)]
    with rig.borrowed() as transaction:
        transaction.run(rig.store.insert(jobs))
        transaction.rollback()
    assert rig.find() == []
    with rig.borrowed() as transaction:
        assert all(answer.created for answer in transaction.run(rig.store.insert(jobs)))
        transaction.commit()
    rig.hire()
    assert ids(rig.claim()) == [job.id for job in jobs]
