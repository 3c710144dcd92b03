"""The sink that writes events to the log: one record for each, at a level that fits."""

from __future__ import annotations

import logging
from typing import get_args

import pytest

from stoker import events
from stoker.job import Claim, Failure, Outcome, Verdict

CLAIM = Claim(1, 1, "id-1", "jobs.resize", "default", "[[],{}]", 2, 0, 3)


def ended(verdict: Verdict, failure: Failure | None = None, reason: str | None = None) -> events.JobEnded:
    return events.JobEnded(CLAIM, Outcome(1, 1, verdict, failure=failure, reason=reason))


def logged(event: events.Event, caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    with caplog.at_level(logging.DEBUG, "stoker.worker"):
        events.log(event)
    [record] = caplog.records
    assert record.name == "stoker.worker"
    return record


FAILURE = Failure(attempt=2, type="ValueError", message="no\nsecond line")

CASES = [
    (events.WorkerStarted("w", "/jobs.db", 3, 50), logging.INFO, "worker w started on /jobs.db: 3 tasks, 50 at once"),
    (events.WorkerQuieted("w", 2), logging.INFO, "worker w was told to be quiet: it claims no more, 2 running jobs go"),
    (events.WorkerWoken("w"), logging.INFO, "worker w was woken: it claims again"),
    (events.WorkerStopping("w", 2, 30.0), logging.INFO, "worker w is stopping: 2 jobs running, up to 30 s for them"),
    (events.WorkerStopped("w"), logging.INFO, "worker w stopped"),
    (ended(Verdict.COMPLETED), logging.DEBUG, "jobs.resize id-1 completed on attempt 2 "),
    (ended(Verdict.FAILED, FAILURE), logging.ERROR, "jobs.resize id-1 failed on attempt 2 ValueError: no"),
    (ended(Verdict.RETRY, FAILURE), logging.WARNING, "jobs.resize id-1 retry on attempt 2 ValueError: no"),
    (ended(Verdict.CRASHED, FAILURE), logging.ERROR, "jobs.resize id-1 crashed on attempt 2 ValueError: no"),
    (ended(Verdict.CANCELLED, reason="x"), logging.INFO, "jobs.resize id-1 cancelled on attempt 2 x"),
    (ended(Verdict.SNOOZED), logging.INFO, "jobs.resize id-1 snoozed on attempt 2 "),
    (ended(Verdict.RELEASED), logging.INFO, "jobs.resize id-1 released on attempt 2 "),
    (events.JobsDropped(["a", "b"]), logging.WARNING, "2 jobs were dropped with the process that held them: a, b"),
    (events.LeaseLost("w", 2), logging.ERROR, "worker w lost its lease: 2 running jobs are told to stop"),
    (events.StoreFailed(OSError("disk"), 4), logging.ERROR, "4 outcomes are kept and tried again: disk"),
    (events.StoreBack(3), logging.WARNING, "the store answers again, after 3 failures"),
    (events.JobsRecovered(2, 1), logging.WARNING, "2 queued again, 1 failed after too many crashes"),
    (events.LoopBlocked(1.25, "  File x"), logging.WARNING, "blocked for 1.2 s; run this in a thread:\n  File x"),
    (events.HookFailed("app.hook", ValueError("no")), logging.ERROR, "hook app.hook failed"),
    (events.SchedulerStarted("here", 3), logging.INFO, "scheduler started on here: 3 schedules declared"),
    (events.SchedulerStopped(), logging.INFO, "scheduler stopped"),
    (events.SchedulerDied(ValueError("no")), logging.CRITICAL, "this process enqueues no more by schedule"),
    (events.ScheduleFailed("nightly", ValueError("no")), logging.ERROR, "'nightly' is not served by this process: no"),
]


@pytest.mark.parametrize(("event", "level", "words"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_an_event_is_logged(event: events.Event, level: int, words: str, caplog: pytest.LogCaptureFixture) -> None:
    record = logged(event, caplog)
    assert record.levelno == level
    assert words in record.getMessage()


def test_no_event_is_forgotten() -> None:
    assert {type(event) for event, _, _ in CASES} == set(get_args(events.Event))


def test_no_verdict_is_forgotten() -> None:
    assert {event.outcome.verdict for event, _, _ in CASES if isinstance(event, events.JobEnded)} == set(Verdict)


def test_a_failed_hook_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("no")
    record = logged(events.HookFailed("app.hook", error), caplog)
    assert record.exc_info is not None
    assert record.exc_info[1] is error
