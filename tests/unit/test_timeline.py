"""The life of one job, as its page draws it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from stoker.job import Failure, Job, Log, State
from stoker.web.dashboard.timeline import attempts, moments, track

START = datetime(2026, 11, 28, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(**facts: Any) -> Job:
    known: dict[str, Any] = {
        **dict.fromkeys(Job.__struct_fields__),
        "id": "1",
        "task": "t",
        "queue": "q",
        "args": [],
        "kwargs": {},
        "state": State.QUEUED,
        "priority": 0,
        "tags": (),
        "attempt": 0,
        "fence": 0,
        "max_attempts": 1,
        "crashes": 0,
        "max_crashes": 3,
        "errors": (),
        "parents": (),
        "created_at": at(0),
        "run_at": at(0),
        "updated_at": at(0),
        "keep_for": 1.0,
        "open_parents": (),
    }
    return Job(**known | facts)


def failure(attempt: int, seconds: float) -> Failure:
    return Failure(attempt=attempt, type="ValueError", message="no", at=at(seconds))


def told(of: Job) -> list[tuple[str, float | None]]:
    return [(moment.title, moment.after) for moment in moments(of)]


def drawn(of: Job, now: float = 100) -> list[tuple[str, float]]:
    return [(part.kind, part.seconds) for part in track(of, at(now))]


def said(of: Job, now: float = 100) -> list[str]:
    return [part.label for part in track(of, at(now))]


def test_a_job_that_completed_at_once() -> None:
    done = job(state=State.COMPLETED, attempt=1, started_at=at(2), finished_at=at(5))
    assert told(done) == [("Enqueued", None), ("Attempt 1 began", 2), ("Completed", 3)]
    assert drawn(done) == [("queued", 2), ("completed", 3)]


def test_a_job_for_later() -> None:
    later = job(state=State.SCHEDULED, run_at=at(60))
    assert told(later) == [("Enqueued", None), ("Will be due", 60)]
    assert drawn(later, 30) == [("scheduled", 30)]
    ran = job(state=State.COMPLETED, attempt=1, run_at=at(60), started_at=at(61), finished_at=at(70))
    assert told(ran) == [("Enqueued", None), ("Due", 60), ("Attempt 1 began", 1), ("Completed", 9)]
    assert drawn(ran) == [("scheduled", 60), ("queued", 1), ("completed", 9)]


def test_attempts_that_failed_and_the_next_one() -> None:
    waits = job(
        state=State.SCHEDULED, attempt=1, max_attempts=3, errors=(failure(1, 4),), started_at=at(1), run_at=at(9)
    )
    assert told(waits) == [("Enqueued", None), ("Attempt 1 began", 1), ("Attempt 1 failed", 3), ("Next attempt", 5)]
    runs = job(
        state=State.PROCESSING, attempt=2, max_attempts=3, errors=(failure(1, 4),), started_at=at(10), run_at=at(9)
    )
    assert told(runs) == [("Enqueued", None), ("Attempt 1 failed", 4), ("Attempt 2 began", 6)]
    assert drawn(runs, 15) == [("retrying", 10), ("processing", 5)]


def test_a_job_that_failed_for_good_says_its_last_failure_once() -> None:
    failed = job(
        state=State.FAILED,
        attempt=2,
        max_attempts=2,
        errors=(failure(1, 4), failure(2, 12)),
        error="ValueError: no",
        started_at=at(10),
        finished_at=at(12),
        run_at=at(9),
    )
    assert told(failed) == [
        ("Enqueued", None),
        ("Attempt 1 failed", 4),
        ("Attempt 2 began", 6),
        ("Failed for good", 2),
    ]
    assert moments(failed)[-1].note == "ValueError: no"
    assert drawn(failed) == [("retrying", 10), ("failed", 2)]


def test_a_job_that_never_began() -> None:
    cancelled = job(state=State.CANCELLED, finished_at=at(7), error="wrong")
    assert told(cancelled) == [("Enqueued", None), ("Cancelled", 7)]
    assert drawn(cancelled) == [("queued", 7)]
    fresh = job()
    assert track(fresh, at(0)) == []


def test_time_in_the_queue_is_no_earlier_attempt() -> None:
    failed = job(state=State.FAILED, attempt=1, errors=(failure(1, 12),), started_at=at(10), finished_at=at(12))
    assert said(failed) == ["queued 10 s", "last attempt 2.0 s"]


def test_what_was_before_a_later_attempt_is_told_as_one() -> None:
    done = job(state=State.COMPLETED, attempt=2, errors=(failure(1, 4),), started_at=at(20), finished_at=at(30))
    assert said(done) == ["before attempt 2 20 s", "ran 10 s"]
    crashed = job(state=State.PROCESSING, attempt=2, crashes=1, started_at=at(20))
    assert said(crashed) == ["before attempt 2 20 s", "running 1 min 20 s"]
    snoozed = job(state=State.COMPLETED, attempt=1, fence=2, run_at=at(15), started_at=at(20), finished_at=at(30))
    assert said(snoozed) == ["before attempt 1 20 s", "ran 10 s"]


def test_the_pause_before_the_next_attempt_is_told_apart() -> None:
    known: dict[str, Any] = {"attempt": 1, "errors": (failure(1, 12),), "started_at": at(10)}
    waits = job(state=State.SCHEDULED, run_at=at(60), **known)
    assert said(waits, 32) == ["before attempt 1 10 s", "attempt 1 2.0 s", "pause 20 s"]
    due = job(state=State.QUEUED, run_at=at(60), **known)
    assert said(due, 90) == ["before attempt 1 10 s", "attempt 1 2.0 s", "pause 48 s", "queued again 30 s"]
    cancelled = job(state=State.CANCELLED, run_at=at(60), finished_at=at(32), **known)
    assert said(cancelled) == ["before attempt 1 10 s", "attempt 1 2.0 s", "pause 20 s"]


def test_what_the_record_does_not_know_is_not_told() -> None:
    given_back = job(state=State.QUEUED, attempt=1, crashes=1, fence=1, started_at=at(10))
    assert said(given_back, 30) == ["queued 10 s", "since it last began 20 s"]
    stopped = job(state=State.CANCELLED, attempt=1, crashes=1, started_at=at(10), finished_at=at(30))
    assert said(stopped) == ["queued 10 s", "from attempt 1 on 20 s"]
    retried = job(state=State.QUEUED, attempt=1, run_at=at(40), started_at=at(10))
    assert said(retried, 60) == ["before attempt 1 10 s", "last attempt and pause 30 s", "queued again 20 s"]


def test_a_job_that_ran_until_it_was_cancelled() -> None:
    stopped = job(state=State.CANCELLED, attempt=1, started_at=at(10), finished_at=at(30))
    assert said(stopped) == ["queued 10 s", "ran until cancelled 20 s"]


def test_a_step_of_a_workflow_is_said_to_have_queued_only_where_it_has() -> None:
    step: dict[str, Any] = {"parents": ("p",)}
    assert said(job(state=State.WAITING, **step), 30) == ["waiting 30 s"]
    assert said(job(state=State.CANCELLED, finished_at=at(30), **step)) == ["until it was cancelled 30 s"]
    assert said(job(state=State.QUEUED, **step), 30) == ["waiting and queued 30 s"]
    ran = job(state=State.COMPLETED, attempt=1, started_at=at(20), finished_at=at(30), **step)
    assert said(ran) == ["waiting and queued 20 s", "ran 10 s"]


def test_the_parts_fill_the_track_and_all_can_be_seen() -> None:
    parts = track(
        job(state=State.COMPLETED, attempt=1, run_at=at(1), started_at=at(1.001), finished_at=at(90_000)), at(0)
    )
    assert len(parts) == 3
    assert abs(sum(part.width for part in parts) - 100) < 0.1
    assert min(part.width for part in parts) > 1
    assert [part.start for part in parts] == sorted(part.start for part in parts)


def test_logs_stand_with_their_attempts_the_last_first() -> None:
    logs = [
        Log(attempt=1, fence=1, text="one\n"),
        Log(attempt=1, fence=2, text="again\n"),
        Log(attempt=3, fence=4, text="three\n"),
    ]
    found = attempts(3, [failure(2, 1)], logs)
    assert [(one.number, one.failure is not None, one.logs) for one in found] == [
        (3, False, ["three\n"]),
        (2, True, []),
        (1, False, ["one\n", "again\n"]),
    ]
    assert attempts(0, [], []) == []
