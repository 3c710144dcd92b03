"""`judge`: what becomes of a job, given what its code did."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from stoker import InvalidOption, Retry, Snooze, exponential, fixed
from stoker.clock import SECOND
from stoker.job import (
    AskedCancel,
    AskedRetry,
    AskedSnooze,
    Claim,
    Died,
    Ending,
    Interrupted,
    Raised,
    Returned,
    Verdict,
)
from stoker.retry import Custom, Exponential, Policy, judge, lineage

RAISED = Raised("ValueError", "no", "Traceback …", lineage(ValueError))


def claimed(attempt: int = 1, crashes: int = 0, max_attempts: int = 1) -> Claim:
    return Claim(7, 9, "id", "task", "q", "[[],{}]", attempt, crashes, max_attempts)


def verdict(ending: Ending, policy: Policy = Policy(), **facts: int) -> Verdict:
    return judge(claimed(**facts), ending, policy, random.Random(1)).verdict


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (Returned("1"), Verdict.COMPLETED),
        (AskedSnooze(5), Verdict.SNOOZED),
        (AskedCancel("enough"), Verdict.CANCELLED),
        (Interrupted(), Verdict.RELEASED),
        (Died("signal SIGKILL"), Verdict.CRASHED),
    ],
)
@pytest.mark.parametrize("attempt", [1, 3, 99])
def test_endings_that_are_no_failure_do_not_depend_on_the_attempt(
    ending: Ending, expected: Verdict, attempt: int
) -> None:
    assert verdict(ending, attempt=attempt) is expected


def test_an_outcome_names_the_very_claim() -> None:
    for ending in (Returned("1"), RAISED, AskedSnooze(1), AskedCancel(), Interrupted(), Died(""), AskedRetry(RAISED)):
        outcome = judge(claimed(max_attempts=2), ending, Policy(), random.Random(1))
        assert (outcome.ref, outcome.fence) == (7, 9)


@pytest.mark.parametrize(
    ("attempt", "crashes", "max_attempts", "expected"),
    [
        (1, 0, 1, Verdict.FAILED),
        (1, 0, 2, Verdict.RETRY),
        (2, 0, 2, Verdict.FAILED),
        (3, 0, 2, Verdict.FAILED),
        (2, 1, 2, Verdict.RETRY),  # one of the two was a crash, and a crash is no failed attempt
        (3, 1, 2, Verdict.FAILED),
        (3, 2, 1, Verdict.FAILED),
        (3, 2, 2, Verdict.RETRY),
    ],
)
def test_failed_attempts_are_counted_and_crashes_are_not(
    attempt: int, crashes: int, max_attempts: int, expected: Verdict
) -> None:
    assert verdict(RAISED, attempt=attempt, crashes=crashes, max_attempts=max_attempts) is expected
    assert verdict(AskedRetry(RAISED), attempt=attempt, crashes=crashes, max_attempts=max_attempts) is expected


@pytest.mark.parametrize("max_attempts", [1, 2])
def test_a_failure_is_kept_with_its_attempt(max_attempts: int) -> None:
    failure = judge(claimed(max_attempts=max_attempts), RAISED, Policy(), random.Random(1)).failure
    assert failure is not None
    assert (failure.attempt, failure.type, failure.message) == (1, "ValueError", "no")
    assert failure.traceback == "Traceback …"


def test_retry_after_comes_before_the_backoff() -> None:
    policy = Policy(backoff=fixed(100))
    again = judge(claimed(max_attempts=2), AskedRetry(RAISED, 5), policy, random.Random(1))
    assert (again.verdict, again.delay) == (Verdict.RETRY, 5)
    at_once = judge(claimed(max_attempts=2), AskedRetry(RAISED, 0), policy, random.Random(1))
    assert at_once.delay == 0
    unsaid = judge(claimed(max_attempts=2), AskedRetry(RAISED), policy, random.Random(1))
    assert unsaid.delay == 100 * SECOND


class Base(Exception): ...


class Special(Base): ...


def raising(kind: type[Exception]) -> Raised:
    return Raised(lineage(kind)[0], "", None, lineage(kind))


def names(*kinds: type[Exception]) -> tuple[str, ...]:
    return tuple(lineage(kind)[0] for kind in kinds)


@pytest.mark.parametrize(
    ("retry_on", "fail_on", "kind", "again"),
    [
        (None, (), Special, True),
        (names(Base), (), Special, True),
        (names(Special), (), Base, False),
        (names(OSError), (), Special, False),
        ((), (), Special, False),
        (None, names(Base), Special, False),
        (None, names(Special), Base, True),
        (names(Base), names(Special), Special, False),
        (names(Base), names(Special), Base, True),
        (names(Exception), (), Special, True),
        (names(OSError), (), ConnectionResetError, True),
    ],
)
def test_exceptions_are_told_by_their_bases(
    retry_on: tuple[str, ...] | None, fail_on: tuple[str, ...], kind: type[Exception], again: bool
) -> None:
    policy = Policy(retry_on=retry_on, fail_on=fail_on)
    assert (verdict(raising(kind), policy, max_attempts=5) is Verdict.RETRY) == again


def test_an_asked_retry_is_granted_whatever_the_policy_forgives() -> None:
    policy = Policy(retry_on=(), fail_on=names(Retry))
    assert verdict(AskedRetry(raising(Retry)), policy, max_attempts=2) is Verdict.RETRY


def test_exponential_pauses_double_up_to_the_cap() -> None:
    chance = random.Random(1)
    rule = exponential(base=2, cap=20, jitter=False)
    assert [rule.seconds(failed, chance) for failed in range(1, 7)] == [2, 4, 8, 16, 20, 20]
    assert rule.seconds(10**9, chance) == 20


def test_jitter_stays_between_half_and_whole_and_spreads() -> None:
    chance = random.Random(1)
    rule = Exponential(base=8, cap=3600)
    pauses = [rule.seconds(1, chance) for _ in range(1000)]
    assert all(4 <= pause <= 8 for pause in pauses)
    assert min(pauses) < 4.1
    assert max(pauses) > 7.9


def test_the_pause_grows_with_failures_and_not_with_crashes() -> None:
    policy = Policy(backoff=exponential(base=1, jitter=False))
    delays = [
        judge(claimed(attempt=n, crashes=2, max_attempts=99), RAISED, policy, random.Random(1)).delay for n in (3, 4, 5)
    ]
    assert delays == [1 * SECOND, 2 * SECOND, 4 * SECOND]


@pytest.mark.parametrize(("given", "seconds"), [(5, 5.0), (timedelta(minutes=1), 60.0), (-3, 0.0), (1e30, 3.2e9)])
def test_a_rule_of_ones_own_gives_seconds_or_a_timedelta(given: float | timedelta, seconds: float) -> None:
    policy = Policy(backoff=Custom(lambda _: given))
    assert judge(claimed(max_attempts=2), RAISED, policy, random.Random(1)).delay == seconds * SECOND


def test_a_rule_of_ones_own_gets_the_number_of_failures() -> None:
    seen: list[int] = []
    policy = Policy(backoff=Custom(lambda failed: seen.append(failed) or 0))
    judge(claimed(attempt=4, crashes=1, max_attempts=9), RAISED, policy, random.Random(1))
    assert seen == [3]


@pytest.mark.parametrize("answer", ["soon", None, float("nan")])
def test_a_rule_that_answers_nonsense_costs_a_minute_and_not_the_job(answer: object) -> None:
    policy = Policy(backoff=Custom(lambda _: answer))  # type: ignore[arg-type, return-value]
    outcome = judge(claimed(max_attempts=2), RAISED, policy, random.Random(1))
    assert outcome.verdict is Verdict.RETRY
    assert 0 <= outcome.delay <= 60 * SECOND


def test_a_rule_that_raises_costs_a_minute_and_not_the_job() -> None:
    policy = Policy(backoff=Custom(lambda failed: 1 // (failed - 1)))
    outcome = judge(claimed(max_attempts=2), RAISED, policy, random.Random(1))
    assert (outcome.verdict, outcome.delay) == (Verdict.RETRY, 60 * SECOND)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12, timedelta(seconds=-1)])
def test_retry_and_snooze_refuse_times_that_are_none(seconds: float | timedelta) -> None:
    with pytest.raises(InvalidOption, match=r"Retry\(after=\) must be zero or more seconds"):
        Retry(after=seconds)
    with pytest.raises(InvalidOption, match=r"Snooze\(seconds\) must be zero or more seconds"):
        Snooze(seconds)


def test_retry_and_snooze_take_seconds_and_timedeltas() -> None:
    assert Retry().after is None
    assert Retry("busy", after=timedelta(minutes=1)).after == 60
    assert Snooze(timedelta(hours=1)).seconds == 3600


@pytest.mark.parametrize("wrong", [{"base": -1}, {"cap": -1}, {"base": float("nan")}, {"cap": float("inf")}])
def test_exponential_refuses_times_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidOption, match=r"exponential\(\) takes seconds of zero or more"):
        exponential(**wrong)
