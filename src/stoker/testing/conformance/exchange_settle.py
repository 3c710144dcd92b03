"""What `Store.exchange` promises of outcomes."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import FINAL, Claim, Failure, Job, Outcome, State, Verdict
from stoker.testing.conformance.rig import (
    DAY,
    HOUR,
    LEASE,
    MINUTE,
    START,
    Rig,
    completed,
    failed,
    failure,
    ids,
    retried,
    verdict,
)

FAILING = (Verdict.FAILED, Verdict.RETRY)
RETURNING = (Verdict.RETRY, Verdict.SNOOZED, Verdict.RELEASED, Verdict.CRASHED)
"""Verdicts that bring the job back."""


def any_outcome(claim: Claim, kind: Verdict, **facts: Any) -> Outcome:
    """An outcome of that kind with the facts that belong to it."""
    if kind in FAILING:
        facts.setdefault("failure", failure(claim))
    if kind is Verdict.COMPLETED:
        facts.setdefault("result", '"done"')
    return verdict(claim, kind, **facts)


# --- where each verdict leads ---------------------------------------------------------------------------------------


def test_completed(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(SECOND)
    assert rig.settle(verdict(claim, Verdict.COMPLETED, result='{"a":[1,null,"ü"]}')) == []
    job = rig.read(claim.id)
    assert (job.state, job.result, job.error, job.attempt) == (State.COMPLETED, {"a": [1, None, "ü"]}, None, 1)
    assert job.finished_at == job.updated_at == to_datetime(START + SECOND)
    assert job.started_at == to_datetime(START)


@pytest.mark.parametrize("result", [None, "null", "0", '""', "[]", "1.5", '"1"', "true", '{"x":{}}'])
def test_any_json_is_a_result(rig: Rig, result: str | None) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.COMPLETED, result=result))
    expected: dict[str, Any] = {
        "null": None,
        "0": 0,
        '""': "",
        "[]": [],
        "1.5": 1.5,
        '"1"': "1",
        "true": True,
        '{"x":{}}': {"x": {}},
    }
    value = rig.read(claim.id).result
    assert (value, type(value)) == (expected.get(result or "null"), type(expected.get(result or "null")))


def test_failed(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(SECOND)
    assert rig.settle(failed(claim, "no luck\nat all")) == []
    job = rig.read(claim.id)
    assert (job.state, job.error, job.result) == (State.FAILED, "builtins.ValueError: no luck", None)
    assert job.finished_at == to_datetime(START + SECOND)
    assert job.errors == (
        Failure(
            attempt=1,
            type="builtins.ValueError",
            message="no luck\nat all",
            traceback="Traceback: …",
            worker="worker",
            at=to_datetime(START + SECOND),
        ),
    )


@pytest.mark.parametrize(("reason", "error"), [("not wanted", "not wanted"), ("", None), (None, None)])
def test_cancelled(rig: Rig, reason: str | None, error: str | None) -> None:
    claim = rig.begin()
    assert rig.settle(verdict(claim, Verdict.CANCELLED, reason=reason)) == []
    job = rig.read(claim.id)
    assert (job.state, job.error, job.errors) == (State.CANCELLED, error, ())
    assert job.finished_at == to_datetime(START)


def test_retry_later(rig: Rig) -> None:
    claim = rig.begin(max_attempts=3)
    rig.advance(SECOND)
    assert rig.settle(retried(claim, delay=MINUTE)) == []
    job = rig.read(claim.id)
    assert (job.state, job.run_at) == (State.SCHEDULED, to_datetime(START + SECOND + MINUTE))
    assert (job.attempt, job.crashes, job.error, len(job.errors)) == (1, 0, "builtins.ValueError: no luck", 1)
    assert job.finished_at is None
    assert job.started_at == to_datetime(START)
    rig.hire(lease=HOUR)
    rig.advance(MINUTE - 1)
    assert rig.claim() == []
    rig.advance(1)
    (again,) = rig.claim()
    assert (again.id, again.attempt, again.fence) == (claim.id, 2, 2)


def test_retry_at_once(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(SECOND)
    rig.settle(retried(claim))
    job = rig.read(claim.id)
    assert (job.state, job.run_at, job.attempt) == (State.QUEUED, to_datetime(START + SECOND), 1)
    assert [again.attempt for again in rig.claim()] == [2]


def test_snoozed(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(SECOND)
    assert rig.settle(verdict(claim, Verdict.SNOOZED, delay=MINUTE)) == []
    job = rig.read(claim.id)
    assert (job.state, job.run_at) == (State.SCHEDULED, to_datetime(START + SECOND + MINUTE))
    assert (job.attempt, job.crashes, job.error, job.errors, job.fence) == (0, 0, None, (), 1)


def test_snoozed_for_no_time(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(SECOND)
    rig.settle(verdict(claim, Verdict.SNOOZED))
    job = rig.read(claim.id)
    assert (job.state, job.attempt, job.run_at) == (State.QUEUED, 0, to_datetime(START + SECOND))


def test_released(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(SECOND)
    assert rig.settle(verdict(claim, Verdict.RELEASED)) == []
    job = rig.read(claim.id)
    assert (job.state, job.run_at) == (State.QUEUED, to_datetime(START))
    assert (job.attempt, job.crashes, job.error, job.errors, job.fence) == (0, 0, None, (), 1)
    assert job.finished_at is None


def test_crashed_below_the_cap(rig: Rig) -> None:
    claim = rig.begin(max_crashes=2)
    rig.advance(SECOND)
    assert rig.settle(verdict(claim, Verdict.CRASHED)) == []
    job = rig.read(claim.id)
    assert (job.state, job.run_at) == (State.QUEUED, to_datetime(START))
    assert (job.attempt, job.crashes, job.error, job.errors) == (1, 1, None, ())


@pytest.mark.parametrize(("cap", "times"), [(1, "once"), (2, "2 times"), (3, "3 times")])
def test_crashed_at_the_cap(rig: Rig, cap: int, times: str) -> None:
    claim = rig.begin(max_crashes=cap, key="k")
    for _ in range(cap - 1):
        assert rig.settle(verdict(claim, Verdict.CRASHED)) == []
        (claim,) = rig.claim()
    rig.advance(SECOND)
    assert rig.settle(verdict(claim, Verdict.CRASHED)) == []
    job = rig.read(claim.id)
    message = f"the process that ran this job died or lost its lease, {times}"
    assert (job.state, job.crashes, job.attempt, job.error) == (State.FAILED, cap, cap, f"crashed: {message}")
    at = to_datetime(START + SECOND)
    assert job.errors == (Failure(attempt=cap, type="crashed", message=message, worker="worker", at=at),)
    assert job.finished_at == at
    assert rig.claim() == []
    rig.enqueue(key="k")


# --- the fence ------------------------------------------------------------------------------------------------------


def lost_claim(rig: Rig) -> tuple[Claim, Claim]:
    """A claim that was taken away from a slow worker, and the claim of the one who has the job now."""
    stale = rig.begin("slow")
    rig.advance(LEASE)
    rig.run(rig.store.recover())
    rig.hire("quick")
    (present,) = rig.claim("quick")
    assert (present.id, present.ref) == (stale.id, stale.ref)
    return stale, present


@pytest.mark.parametrize("kind", Verdict)
def test_the_slow_worker_does_not_settle_the_run_of_the_quick_one(rig: Rig, kind: Verdict) -> None:
    stale, present = lost_claim(rig)
    before = rig.records()
    rig.advance(SECOND)
    words = {"progress": 0.9, "message": "late", "checkpoint": '"late"'}
    assert rig.settle(any_outcome(stale, kind, **words), worker="slow") == [stale.ref]
    assert rig.records() == before
    assert rig.settle(any_outcome(present, kind), worker="quick") == []
    assert rig.read(present.id).state is not State.PROCESSING


@pytest.mark.parametrize("kind", Verdict)
def test_no_outcome_is_recorded_once_the_job_was_given_back(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin()
    rig.lose("worker")
    rig.recover_all()
    before = rig.records()
    assert rig.settle(any_outcome(claim, kind)) == [claim.ref]
    assert rig.records() == before


@pytest.mark.parametrize("first", [0, 1])
def test_a_stale_and_a_true_outcome_of_one_job_in_one_call(rig: Rig, first: int) -> None:
    stale, present = lost_claim(rig)
    outcomes = [completed(stale, '"stale"'), completed(present, '"true"')]
    assert rig.settle(outcomes[first], outcomes[1 - first]) == [present.ref]
    assert rig.read(present.id).result == "true"


@pytest.mark.parametrize("first", Verdict)
def test_a_second_outcome_of_one_claim_is_refused(rig: Rig, first: Verdict) -> None:
    for second in Verdict:
        claim, other = rig.begin(queue=f"to be {second}", max_attempts=9), rig.begin()
        answer = rig.settle(any_outcome(claim, first), any_outcome(claim, second, message="late"), completed(other))
        assert answer == [claim.ref]
        assert rig.read(claim.id).message is None
        before = rig.records()
        rig.advance(SECOND)
        assert rig.settle(any_outcome(claim, second), worker="another") == [claim.ref]
        assert rig.records() == before


@pytest.mark.parametrize("kind", Verdict)
def test_the_same_outcomes_again_after_a_lost_reply_change_nothing(rig: Rig, kind: Verdict) -> None:
    outcomes = [any_outcome(rig.begin(queue=f"q{i}"), kind) for i in range(5)]
    assert rig.settle(*outcomes) == []
    before = rig.records()
    rig.advance(SECOND)
    assert rig.settle(*outcomes) == [outcome.ref for outcome in outcomes]
    assert rig.records() == before


@pytest.mark.parametrize(("ref", "fence"), [(0, 0), (999_999, 1), (-1, 1), (2**40, 1), (1, 0), (1, 2), (1, 2**40)])
def test_claims_that_never_were_are_refused(rig: Rig, ref: int, fence: int) -> None:
    claim = rig.begin()
    if ref == 1:
        ref = claim.ref
    before = rig.records()
    assert rig.settle(Outcome(ref, fence, Verdict.COMPLETED, result="1")) == [ref]
    assert rig.settle(Outcome(ref, fence, Verdict.SNOOZED, delay=1)) == [ref]
    assert rig.records() == before


def test_a_job_that_was_never_claimed_cannot_be_settled(rig: Rig) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.RELEASED))
    before = rig.records()
    for fence in (0, 1, 2):
        assert rig.settle(Outcome(claim.ref, fence, Verdict.COMPLETED)) == [claim.ref]
    assert rig.records() == before


def test_refused_refs_come_in_the_order_of_the_outcomes(rig: Rig) -> None:
    claims = [rig.begin(queue=f"q{i}") for i in range(9)]
    for claim in claims[::2]:
        rig.settle(completed(claim))
    again = [failed(claim) if i % 3 else completed(claim) for i, claim in enumerate(claims)][::-1]
    assert rig.settle(*again) == [claim.ref for claim in claims[::2]][::-1]
    assert all(rig.read(claim.id).state in FINAL for claim in claims)


def test_a_dead_worker_settles_as_long_as_nobody_took_its_claims(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(10 * LEASE)
    answer = rig.exchange("worker", completed(claim), limit=5)
    assert (answer.refused, answer.alive) == ([], False)
    assert rig.state(claim.id) is State.COMPLETED


def test_who_sends_the_outcome_does_not_matter(rig: Rig) -> None:
    claim = rig.begin("w1")
    assert rig.settle(completed(claim), worker="stranger") == []
    assert rig.read(claim.id).worker == "w1"


def test_the_fence_is_never_reset(rig: Rig) -> None:
    claim = rig.begin(max_attempts=50, max_crashes=50)
    fence = claim.fence
    for kind in (*RETURNING, Verdict.FAILED, *RETURNING, Verdict.CANCELLED):
        rig.settle(any_outcome(claim, kind))
        if kind in (Verdict.FAILED, Verdict.CANCELLED):
            assert rig.retry(claim.id) == 1
        assert rig.read(claim.id).fence == fence
        (claim,) = rig.claim()
        assert claim.fence == fence + 1
        fence = claim.fence


# --- attempts and crashes -------------------------------------------------------------------------------------------


def test_the_arithmetic_of_attempts(rig: Rig) -> None:
    claim = rig.begin(max_attempts=9, max_crashes=9)
    story = [
        (Verdict.RETRY, 1, 0),
        (Verdict.SNOOZED, 1, 0),
        (Verdict.RELEASED, 1, 0),
        (Verdict.CRASHED, 2, 1),
        (Verdict.RELEASED, 2, 1),
        (Verdict.RETRY, 3, 1),
        (Verdict.CRASHED, 4, 2),
        (Verdict.SNOOZED, 4, 2),
        (Verdict.COMPLETED, 5, 2),
    ]
    for kind, attempt, crashes in story:
        assert rig.settle(any_outcome(claim, kind)) == []
        job = rig.read(claim.id)
        assert (job.attempt, job.crashes) == (attempt, crashes), kind
        for again in rig.claim():
            assert (again.attempt, again.crashes) == (attempt + 1, crashes)
            claim = again
    assert len(rig.read(claim.id).errors) == 2


def test_the_history_grows_at_its_end(rig: Rig) -> None:
    claim = rig.begin("w0", max_attempts=9)
    for number in range(1, 5):
        rig.advance(SECOND)
        rig.settle(retried(claim, message=f"mishap {number}"))
        assert rig.read(claim.id).error == f"builtins.ValueError: mishap {number}"
        (claim,) = rig.claim(rig.hire(f"w{number}"))
    rig.settle(completed(claim, "1"))
    job = rig.read(claim.id)
    assert [entry.message for entry in job.errors] == [f"mishap {number}" for number in range(1, 5)]
    assert [entry.attempt for entry in job.errors] == [1, 2, 3, 4]
    assert [entry.worker for entry in job.errors] == ["w0", "w1", "w2", "w3"]
    assert [entry.at for entry in job.errors] == [to_datetime(START + number * SECOND) for number in range(1, 5)]
    assert (job.error, job.result) == (None, 1)


def test_arguments_stay_as_they_were(rig: Rig) -> None:
    payload = '[[1,"ü",{"b":1,"a":2}],{"k":[1.0]}]'
    claim = rig.begin(payload=payload)
    for kind in (*RETURNING[:3], Verdict.FAILED):
        rig.settle(any_outcome(claim, kind))
        if kind is Verdict.FAILED:
            rig.retry(claim.id)
        (claim,) = rig.claim()
        assert claim.payload == payload


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Verdict.RELEASED, Verdict.CRASHED])
def test_a_job_given_back_has_its_old_place(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(priority=0)
    rig.advance(SECOND)
    others = rig.enqueue_many(2)
    rig.settle(any_outcome(claim, kind))
    assert ids(rig.claim()) == [claim.id, *others]


@pytest.mark.parametrize("kind", [Verdict.RETRY, Verdict.SNOOZED])
def test_a_job_that_comes_back_later_takes_its_place_by_time(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(priority=0)
    rig.advance(SECOND)
    before = rig.enqueue()
    rig.settle(any_outcome(claim, kind, delay=SECOND))
    rig.advance(2 * SECOND)
    after = rig.enqueue()
    assert ids(rig.claim()) == [before, claim.id, after]


def test_a_paused_queue_settles(rig: Rig) -> None:
    claims = [rig.begin(), rig.begin()]
    rig.run(rig.store.pause("default", True))
    assert rig.settle(completed(claims[0]), verdict(claims[1], Verdict.RELEASED)) == []
    assert rig.claim() == []
    rig.run(rig.store.pause("default", False))
    assert ids(rig.claim()) == [claims[1].id]


# --- last words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Verdict)
def test_last_words_are_kept_with_every_verdict(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin()
    rig.settle(any_outcome(claim, kind, progress=0.5, message="half", checkpoint='{"page":3}'))
    job = rig.read(claim.id)
    assert (job.progress, job.message, job.checkpoint) == (0.5, "half", {"page": 3})
    rig.run(rig.store.recover())
    for again in rig.claim():
        assert again.checkpoint == '{"page":3}'


@pytest.mark.parametrize("kind", Verdict)
def test_an_attempt_that_said_nothing_new_leaves_what_was_said(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.RELEASED, progress=0.25, message="quarter", checkpoint="[1]"))
    (claim,) = rig.claim()
    rig.settle(any_outcome(claim, kind))
    job = rig.read(claim.id)
    assert (job.progress, job.message, job.checkpoint) == (0.25, "quarter", [1])


def test_words_are_replaced_one_by_one_and_also_by_empty_ones(rig: Rig) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.RELEASED, progress=0.25, message="quarter", checkpoint="[1]"))
    (claim,) = rig.claim()
    rig.settle(verdict(claim, Verdict.RELEASED, progress=0.0))
    assert rig.read(claim.id).progress == 0.0
    (claim,) = rig.claim()
    rig.settle(verdict(claim, Verdict.COMPLETED, result="1", message="", checkpoint="0"))
    job = rig.read(claim.id)
    assert (job.progress, job.message, job.checkpoint, job.result) == (0.0, "", 0, 1)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("kind", Verdict)
def test_facts_that_belong_to_other_verdicts_are_ignored(rig: Rig, kind: Verdict, asked: bool) -> None:
    plain, laden = rig.begin(), rig.begin()
    if asked:
        rig.cancel(plain.id, laden.id, reason="by a person")
    own = any_outcome(laden, kind)
    facts: dict[str, Any] = {"result": '"r"', "delay": HOUR, "failure": failure(laden), "reason": "because"}
    match kind:
        case Verdict.COMPLETED:
            facts["result"] = own.result
        case Verdict.RETRY | Verdict.SNOOZED:
            facts |= {"delay": 0, "failure": own.failure or failure(laden)}
        case Verdict.CANCELLED:
            facts["reason"] = None
    rig.settle(any_outcome(plain, kind), verdict(laden, kind, **facts))
    assert same_fate(rig.read(plain.id), rig.read(laden.id))


def same_fate(one: Job, other: Job) -> bool:
    """Whether two jobs differ in nothing but their names."""
    return all(getattr(one, field) == getattr(other, field) for field in Job.__struct_fields__ if field != "id")


# --- consequences ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Verdict.COMPLETED, Verdict.FAILED, Verdict.CANCELLED])
def test_a_finished_job_is_kept_for_its_retention(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(keep_for=MINUTE)
    rig.advance(HOUR)
    rig.settle(any_outcome(claim, kind))
    rig.advance(MINUTE - 1)
    assert rig.run(rig.store.prune()) == 0
    rig.advance(1)
    assert rig.run(rig.store.prune()) == 1


@pytest.mark.parametrize("kind", RETURNING)
def test_a_job_that_comes_back_is_not_finished(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(keep_for=0)
    rig.settle(any_outcome(claim, kind))
    rig.advance(DAY)
    assert rig.run(rig.store.prune()) == 0
    assert rig.read(claim.id).finished_at is None


@pytest.mark.parametrize("kind", [Verdict.COMPLETED, Verdict.FAILED, Verdict.CANCELLED])
def test_a_finished_job_frees_its_key(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(key="k")
    rig.settle(any_outcome(claim, kind))
    rig.enqueue(key="k")


@pytest.mark.parametrize("kind", RETURNING)
def test_a_job_that_comes_back_keeps_its_key(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(key="k")
    rig.settle(any_outcome(claim, kind, delay=0))
    (answer,) = rig.run(rig.store.insert([rig.new(key="k")]))
    assert (answer.id, answer.created) == (claim.id, False)


@pytest.mark.parametrize("kind", Verdict)
def test_a_settled_job_counts_no_more_for_its_worker(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin()
    assert (worker := rig.worker()) is not None
    assert worker.running == 1
    rig.settle(any_outcome(claim, kind))
    assert (worker := rig.worker()) is not None
    assert worker.running == 0
    rig.lose("worker")
    assert rig.run(rig.store.recover()).queued == 0


# --- asked to cancel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Verdict)
def test_a_job_asked_to_cancel_ends_as_what_really_happened(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(key="k", keep_for=MINUTE)
    assert rig.cancel(claim.id, reason="not wanted") == 1
    rig.advance(SECOND)
    assert rig.settle(any_outcome(claim, kind, **({"delay": HOUR} if kind is Verdict.RETRY else {}))) == []
    job = rig.read(claim.id)
    expected = {Verdict.COMPLETED: State.COMPLETED, Verdict.FAILED: State.FAILED}.get(kind, State.CANCELLED)
    errors = {Verdict.COMPLETED: None, Verdict.FAILED: "builtins.ValueError: no luck"}
    assert (job.state, job.error) == (expected, errors.get(kind, "not wanted"))
    assert len(job.errors) == (kind in FAILING)
    assert job.crashes == (kind is Verdict.CRASHED)
    assert job.attempt == (kind not in (Verdict.SNOOZED, Verdict.RELEASED))
    assert (job.cancel_requested, job.finished_at) == (False, to_datetime(START + SECOND))
    assert rig.claim() == []
    assert rig.exchange().due_in is None
    rig.enqueue(key="k")
    rig.advance(MINUTE)
    assert rig.run(rig.store.prune()) == 1


def test_a_task_that_cancels_itself_gives_its_own_reason(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id, reason="by a person")
    rig.settle(verdict(claim, Verdict.CANCELLED, reason="by the task"))
    assert rig.read(claim.id).error == "by the task"


@pytest.mark.parametrize("kind", RETURNING)
def test_a_cancel_without_a_reason_cancels_as_well(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin()
    rig.cancel(claim.id)
    rig.settle(any_outcome(claim, kind))
    job = rig.read(claim.id)
    assert (job.state, job.error) == (State.CANCELLED, None)


def test_a_cancel_is_forgotten_with_the_run_that_it_stopped(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id, reason="stop")
    rig.settle(verdict(claim, Verdict.RELEASED))
    rig.retry(claim.id)
    (again,) = rig.claim()
    assert not rig.read(claim.id).cancel_requested
    assert rig.hear("worker").cancel == []
    rig.settle(verdict(again, Verdict.RELEASED))
    assert rig.state(claim.id) is State.QUEUED


# --- many -----------------------------------------------------------------------------------------------------------


def test_a_thousand_outcomes_of_every_kind_at_once(rig: Rig) -> None:
    rig.enqueue_many(1000, max_crashes=1)
    rig.hire()
    claims = rig.claim()
    kinds = list(Verdict)
    outcomes = [any_outcome(claim, kinds[i % len(kinds)], message=str(i)) for i, claim in enumerate(claims)]
    assert rig.settle(*outcomes) == []
    expected = [
        {"retry": "queued", "snoozed": "queued", "released": "queued", "crashed": "failed"}.get(kind, kind)
        for kind in (kinds[i % len(kinds)] for i in range(1000))
    ]
    found = {job.id: job for job in rig.records()}
    assert [found[claim.id].state for claim in claims] == expected
    assert [found[claim.id].message for claim in claims] == [str(i) for i in range(1000)]
