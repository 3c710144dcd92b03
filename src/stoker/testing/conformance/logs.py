"""What `Store.logs` promises, and how logs come about."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND
from stoker.job import LOGS_KEPT, LONGEST_LOG, Claim, Log, Progress, State, Verdict
from stoker.testing.conformance.rig import LEASE, Rig, completed, failure, verdict


def logs(rig: Rig, id: str) -> list[tuple[int, int, str]]:
    """What its attempts logged: attempt, fence and text of each."""
    return [(log.attempt, log.fence, log.text) for log in rig.run(rig.store.logs(id))]


def say(rig: Rig, claim: Claim, text: str | None, worker: str = "worker") -> None:
    """Report that the attempt logged this."""
    rig.beat(worker, Progress(claim.ref, claim.fence, log=text))


def test_who_logged_nothing_has_no_log(rig: Rig) -> None:
    claim = rig.begin()
    say(rig, claim, None)
    say(rig, claim, "")
    rig.settle(completed(claim))
    assert logs(rig, claim.id) == []
    assert logs(rig, "nobody") == []


def test_what_is_logged_is_appended(rig: Rig) -> None:
    claim = rig.begin()
    say(rig, claim, "one\n")
    say(rig, claim, None)
    say(rig, claim, 'two "ü" \\ \n')
    assert rig.run(rig.store.logs(claim.id)) == [Log(attempt=1, fence=claim.fence, text='one\ntwo "ü" \\ \n')]


def test_several_reports_of_one_heartbeat(rig: Rig) -> None:
    first, second = rig.begin(), rig.begin()
    said = [(first, "a"), (second, "x"), (first, "b"), (second, None), (second, "y")]
    rig.beat("worker", *(Progress(claim.ref, claim.fence, log=text) for claim, text in said))
    assert logs(rig, first.id) == [(1, first.fence, "ab")]
    assert logs(rig, second.id) == [(1, second.fence, "xy")]


def test_other_words_of_the_same_report_count_as_ever(rig: Rig) -> None:
    claim = rig.begin()
    rig.beat("worker", Progress(claim.ref, claim.fence, 0.5, "half", "[1]", "log\n"))
    job = rig.read(claim.id)
    assert (job.progress, job.message, job.checkpoint) == (0.5, "half", [1])
    assert logs(rig, claim.id) == [(1, claim.fence, "log\n")]


@pytest.mark.parametrize("kind", Verdict)
def test_an_outcome_has_the_last_words(rig: Rig, kind: Verdict) -> None:
    claim = rig.begin(max_attempts=3)
    say(rig, claim, "first\n")
    told = failure(claim) if kind in (Verdict.FAILED, Verdict.RETRY) else None
    assert rig.settle(verdict(claim, kind, failure=told, result="1", log="last\n")) == []
    assert logs(rig, claim.id) == [(1, claim.fence, "first\nlast\n")]


def test_a_plain_outcome_with_a_log_is_recorded_like_any_other(rig: Rig) -> None:
    first, second = rig.begin(), rig.begin()
    rig.settle(verdict(first, Verdict.COMPLETED, result="1", log="done\n"), completed(second, "2"))
    assert [rig.read(claim.id).result for claim in (first, second)] == [1, 2]
    assert (logs(rig, first.id), logs(rig, second.id)) == ([(1, first.fence, "done\n")], [])


def test_each_attempt_has_a_log_of_its_own_oldest_first(rig: Rig) -> None:
    claim = rig.begin(max_attempts=3)
    say(rig, claim, "one")
    rig.settle(verdict(claim, Verdict.RETRY, failure=failure(claim), log="!"))
    (again,) = rig.claim()
    say(rig, again, "two")
    assert logs(rig, claim.id) == [(1, claim.fence, "one!"), (2, again.fence, "two")]


def test_attempts_that_were_taken_back_are_told_apart_by_their_fence(rig: Rig) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.SNOOZED, log="one"))
    (again,) = rig.claim()
    say(rig, again, "two")
    assert again.attempt == claim.attempt
    assert logs(rig, claim.id) == [(1, claim.fence, "one"), (1, again.fence, "two")]


def test_attempts_that_were_taken_back_may_say_the_same(rig: Rig) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.SNOOZED, log="words"))
    (again,) = rig.claim()
    rig.settle(verdict(again, Verdict.COMPLETED, result="1", log="words"))
    assert logs(rig, claim.id) == [(1, claim.fence, "words"), (1, again.fence, "words")]


def test_logs_of_a_job_that_comes_back_in_the_same_exchange(rig: Rig) -> None:
    claim = rig.begin()
    answer = rig.exchange("worker", verdict(claim, Verdict.RELEASED, log="first"), limit=1)
    (again,) = answer.claims
    say(rig, again, "second")
    assert logs(rig, claim.id) == [(1, claim.fence, "first"), (1, again.fence, "second")]


def test_only_who_holds_the_claim_is_heard(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE)
    rig.recover_all()
    rig.hire("other")
    (again,) = rig.claim("other")
    say(rig, claim, "late")
    assert rig.settle(verdict(claim, Verdict.COMPLETED, result="1", log="late")) == [claim.ref]
    say(rig, again, "in time", "other")
    assert logs(rig, claim.id) == [(2, again.fence, "in time")]
    rig.settle(completed(again), worker="other")
    say(rig, again, "after the end", "other")
    assert logs(rig, claim.id) == [(2, again.fence, "in time")]


def test_of_two_outcomes_of_one_claim_the_first_is_heard(rig: Rig) -> None:
    claim = rig.begin()
    done = [verdict(claim, Verdict.COMPLETED, result="1", log=text) for text in ("first", "second")]
    assert rig.settle(*done) == [claim.ref]
    assert logs(rig, claim.id) == [(1, claim.fence, "first")]


def test_a_repeated_outcome_is_not_heard_again(rig: Rig) -> None:
    claim = rig.begin()
    done = verdict(claim, Verdict.COMPLETED, result="1", log="once")
    assert rig.settle(done) == []
    assert rig.settle(done) == [claim.ref]
    assert logs(rig, claim.id) == [(1, claim.fence, "once")]


def test_a_worker_whose_lease_ran_out_is_heard_while_nobody_took_its_claim(rig: Rig) -> None:
    claim = rig.begin()
    rig.advance(LEASE + SECOND)
    say(rig, claim, "still here")
    assert logs(rig, claim.id) == [(1, claim.fence, "still here")]


def test_the_last_characters_are_kept(rig: Rig) -> None:
    claim = rig.begin()
    say(rig, claim, "a" * LONGEST_LOG)
    assert logs(rig, claim.id) == [(1, claim.fence, "a" * LONGEST_LOG)]
    say(rig, claim, "ü" * 10)
    assert logs(rig, claim.id) == [(1, claim.fence, "a" * (LONGEST_LOG - 10) + "ü" * 10)]
    say(rig, claim, "b" * (LONGEST_LOG + 5) + "c")
    assert logs(rig, claim.id) == [(1, claim.fence, "b" * (LONGEST_LOG - 1) + "c")]


def test_many_small_pieces(rig: Rig) -> None:
    claim = rig.begin()
    piece = 1000
    said = [chr(97 + number % 26) * piece for number in range(LONGEST_LOG // piece + 40)]
    for text in said:
        say(rig, claim, text)
    assert logs(rig, claim.id) == [(1, claim.fence, "".join(said)[-LONGEST_LOG:])]
    rig.settle(verdict(claim, Verdict.COMPLETED, result="1", log="end"))
    assert logs(rig, claim.id) == [(1, claim.fence, ("".join(said) + "end")[-LONGEST_LOG:])]


def test_the_logs_of_the_last_attempts_are_kept(rig: Rig) -> None:
    claim = rig.begin(max_attempts=100)
    fences = []
    for number in range(LOGS_KEPT + 5):
        fences.append(claim.fence)
        rig.settle(verdict(claim, Verdict.RETRY, failure=failure(claim), log=f"{number}"))
        (claim,) = rig.claim()
    kept = [(number + 1, fence, f"{number}") for number, fence in enumerate(fences)][-LOGS_KEPT:]
    assert logs(rig, claim.id) == kept
    say(rig, claim, "last")
    assert logs(rig, claim.id) == [*kept[1:], (LOGS_KEPT + 6, claim.fence, "last")]


def test_a_retry_by_a_person_leaves_them(rig: Rig) -> None:
    claim = rig.begin()
    rig.settle(verdict(claim, Verdict.FAILED, failure=failure(claim), log="one"))
    rig.retry(claim.id)
    assert logs(rig, claim.id) == [(1, claim.fence, "one")]


def test_they_go_with_a_job_that_is_deleted(rig: Rig) -> None:
    claim, other = rig.begin(), rig.begin()
    for each in (claim, other):
        rig.settle(verdict(each, Verdict.COMPLETED, result="1", log="text"))
    dump = rig.read(claim.id)
    rig.delete(claim.id)
    assert logs(rig, claim.id) == []
    assert rig.run(rig.store.restore([dump])) == 1
    assert logs(rig, claim.id) == []
    assert logs(rig, other.id) == [(1, other.fence, "text")]


def test_they_go_with_a_job_that_is_pruned(rig: Rig) -> None:
    claim = rig.begin(keep_for=0)
    rig.settle(verdict(claim, Verdict.COMPLETED, result="1", log="text"))
    dump = rig.read(claim.id)
    assert rig.run(rig.store.prune()) == 1
    assert rig.run(rig.store.restore([dump])) == 1
    assert logs(rig, claim.id) == []


def test_many_logs_of_one_exchange(rig: Rig) -> None:
    rig.enqueue_many(500)
    rig.hire()
    claims = rig.claim()
    done = [verdict(claim, Verdict.COMPLETED, result="1", log=f"log of {claim.id}") for claim in claims]
    assert rig.settle(*done) == []
    assert all(logs(rig, claim.id) == [(1, claim.fence, f"log of {claim.id}")] for claim in claims[::50])
    assert rig.states(claim.id for claim in claims[::50]) == [State.COMPLETED] * 10
