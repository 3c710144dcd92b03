"""What a store promises of debounce and throttle: one job of many requests."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import Guard, Inserted, State, Verdict
from stoker.testing.conformance.rig import MINUTE, START, Rig, completed, ids, verdict

LAST = Guard("doc 7", 5 * SECOND, last=True)
FIRST = Guard("doc 7", 60 * SECOND, last=False)


def ask(rig: Rig, guard: Guard, number: int = 0, **facts: object) -> Inserted:
    """Ask for a job under a guard."""
    job = rig.new(guard=guard, payload=f"[[{number}],{{}}]", **facts)
    (answer,) = rig.run(rig.store.insert([job]))
    assert not answer.created or answer.id == job.id
    return answer


# --- debounce -------------------------------------------------------------------------------------------------------


def test_a_debounced_job_is_due_a_span_from_now(rig: Rig) -> None:
    made = ask(rig, LAST)
    assert made.created
    assert (rig.read(made.id).state, rig.read(made.id).run_at) == (State.SCHEDULED, to_datetime(START + 5 * SECOND))


def test_the_last_of_several_requests_counts(rig: Rig) -> None:
    made = ask(rig, LAST, 1)
    for number in (2, 3):
        rig.advance(4 * SECOND)
        assert ask(rig, LAST, number) == Inserted(made.id, created=False)
    job = rig.read(made.id)
    assert (job.args, job.run_at, job.updated_at) == ([3], to_datetime(rig.now + 5 * SECOND), to_datetime(rig.now))
    assert len(rig.records()) == 1
    rig.hire()
    rig.advance(5 * SECOND - 1)
    assert rig.claim() == []
    rig.advance(1)
    assert ids(rig.claim()) == [made.id]


def test_several_requests_of_one_call(rig: Rig) -> None:
    jobs = [rig.new(guard=LAST, payload=f"[[{number}],{{}}]") for number in range(3)]
    answers = rig.run(rig.store.insert(jobs))
    assert answers == [Inserted(jobs[0].id, created=number == 0) for number in range(3)]
    assert rig.read(jobs[0].id).args == [2]


def test_a_debounced_job_that_is_due_is_put_off_until_it_begins(rig: Rig) -> None:
    made = ask(rig, LAST)
    rig.advance(5 * SECOND)
    rig.hire()
    rig.exchange()
    assert rig.state(made.id) is State.QUEUED
    assert ask(rig, LAST, 2) == Inserted(made.id, created=False)
    assert rig.state(made.id) is State.SCHEDULED
    assert rig.claim() == []


@pytest.mark.parametrize("ends", [False, True])
def test_what_comes_after_the_beginning_is_another_job(rig: Rig, ends: bool) -> None:
    made = ask(rig, LAST)
    rig.advance(5 * SECOND)
    rig.hire()
    (claim,) = rig.claim()
    if ends:
        rig.settle(completed(claim))
    other = ask(rig, LAST, 2)
    assert other.created
    assert other.id != made.id
    assert ask(rig, LAST, 3) == Inserted(other.id, created=False)
    assert rig.read(made.id).args == [0]


def test_a_job_that_began_once_is_not_changed_by_later_requests(rig: Rig) -> None:
    made = ask(rig, LAST)
    rig.advance(5 * SECOND)
    rig.hire()
    (claim,) = rig.claim()
    rig.settle(verdict(claim, Verdict.RETRY, delay=MINUTE))
    assert rig.state(made.id) is State.SCHEDULED
    assert ask(rig, LAST, 2).created
    assert rig.read(made.id).args == [0]


@pytest.mark.parametrize("gone", [True, False])
def test_a_cancelled_or_deleted_job_stands_for_nothing(rig: Rig, gone: bool) -> None:
    made = ask(rig, LAST)
    rig.delete(made.id) if gone else rig.cancel(made.id)
    assert ask(rig, LAST, 2).created


def test_other_names_are_other_jobs(rig: Rig) -> None:
    assert ask(rig, LAST).created
    assert ask(rig, Guard("doc 8", 5 * SECOND, last=True)).created


def test_a_debounced_job_is_recognised_by_its_id_first(rig: Rig) -> None:
    job = rig.new(guard=LAST)
    rig.run(rig.store.insert([job]))
    rig.advance(SECOND)
    assert rig.run(rig.store.insert([job])) == [Inserted(job.id, created=False)]
    assert rig.read(job.id).run_at == to_datetime(START + 5 * SECOND)


# --- throttle -------------------------------------------------------------------------------------------------------


def test_the_first_of_several_requests_counts(rig: Rig) -> None:
    made = ask(rig, FIRST, 1)
    assert made.created
    assert rig.state(made.id) is State.QUEUED
    rig.advance(59 * SECOND)
    assert ask(rig, FIRST, 2) == Inserted(made.id, created=False)
    assert rig.read(made.id).args == [1]


def test_a_throttle_is_over_after_its_span(rig: Rig) -> None:
    made = ask(rig, FIRST)
    rig.advance(60 * SECOND - 1)
    assert not ask(rig, FIRST).created
    rig.advance(1)
    other = ask(rig, FIRST)
    assert other.created
    assert other.id != made.id


def test_a_throttle_lasts_though_its_job_is_done(rig: Rig) -> None:
    made = ask(rig, FIRST)
    rig.hire()
    rig.settle(*map(completed, rig.claim()))
    assert ask(rig, FIRST) == Inserted(made.id, created=False)


def test_a_throttle_ends_with_the_record_of_its_job(rig: Rig) -> None:
    made = ask(rig, FIRST)
    rig.delete(made.id)
    assert ask(rig, FIRST).created


def test_throttled_requests_of_one_call(rig: Rig) -> None:
    jobs = [rig.new(guard=FIRST) for _ in range(3)]
    assert [answer.id for answer in rig.run(rig.store.insert(jobs))] == [jobs[0].id] * 3
    assert len(rig.records()) == 1


def test_a_throttled_request_among_others(rig: Rig) -> None:
    made = ask(rig, FIRST)
    first, second = rig.new(), rig.new()
    answers = rig.run(rig.store.insert([first, rig.new(guard=FIRST), second]))
    assert answers == [Inserted(first.id, True), Inserted(made.id, False), Inserted(second.id, True)]


# --- both -----------------------------------------------------------------------------------------------------------


def test_what_guards_remember_is_forgotten_in_time_and_not_before(rig: Rig) -> None:
    made = ask(rig, LAST)
    rig.advance(MINUTE)
    rig.run(rig.store.prune())
    assert ask(rig, LAST) == Inserted(made.id, created=False)
    other = ask(rig, Guard("doc 9", MINUTE, last=False))
    rig.run(rig.store.prune())
    assert ask(rig, Guard("doc 9", MINUTE, last=False)) == Inserted(other.id, created=False)
    rig.advance(MINUTE)
    rig.run(rig.store.prune())
    assert ask(rig, Guard("doc 9", MINUTE, last=False)).created


def test_of_many_who_ask_at_once_one_makes_it(rig: Rig) -> None:
    for guard in (FIRST, Guard("other", SECOND, last=True)):
        answers = rig.run_together([rig.store.insert([rig.new(guard=guard)]) for _ in range(10)])
        assert sum(answer.created for [answer] in answers) == 1
        assert len({answer.id for [answer] in answers}) == 1
