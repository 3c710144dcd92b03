"""The transition table, and the small facts that are derived from a job."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stoker import Job, State
from stoker.job import FINAL, LIVE, TRANSITIONS, Failure, crash_failure


def reachable(start: State) -> set[State]:
    seen: set[State] = set()
    edge = {start}
    while edge:
        seen |= edge
        edge = {after for state in edge for after in TRANSITIONS[state]} - seen
    return seen


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


def test_a_state_is_final_or_live() -> None:
    assert FINAL.isdisjoint(LIVE)
    assert set(State) == FINAL | LIVE


def test_no_state_leads_to_itself() -> None:
    assert not [state for state, after in TRANSITIONS.items() if state in after]


def test_only_a_retry_leaves_a_final_state() -> None:
    assert TRANSITIONS[State.COMPLETED] == frozenset()
    assert TRANSITIONS[State.FAILED] == TRANSITIONS[State.CANCELLED] == {State.QUEUED, State.WAITING}


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_unfinished_job_can_reach_every_end(state: State) -> None:
    assert reachable(state) >= FINAL


def test_only_a_queued_job_starts() -> None:
    assert [state for state, after in TRANSITIONS.items() if State.PROCESSING in after] == [State.QUEUED]


def test_only_a_started_job_completes_or_fails() -> None:
    for end in (State.COMPLETED, State.FAILED):
        assert [state for state, after in TRANSITIONS.items() if end in after] == [State.PROCESSING]


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_unfinished_job_can_be_cancelled(state: State) -> None:
    assert State.CANCELLED in TRANSITIONS[state]


def test_only_a_retry_leads_back_to_waiting() -> None:
    """For parents that were retried with it."""
    assert [state for state, after in TRANSITIONS.items() if State.WAITING in after] == [State.FAILED, State.CANCELLED]


def test_states_read_as_their_names() -> None:
    assert [str(state) for state in State] == [state.name.lower() for state in State]


@pytest.mark.parametrize("state", State)
def test_a_record_knows_whether_it_is_finished(state: State) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    job = Job(
        id="x", task="t", queue="q", args=[], kwargs={}, state=state, priority=0, owner=None, key=None, tags=(),
        attempt=0, max_attempts=1, crashes=0, max_crashes=3, progress=None, message=None, result=None, error=None,
        errors=(), checkpoint=None, meta=None, overrides=None, parents=(), workflow=None, schedule=None, worker=None,
        created_at=moment, run_at=moment, started_at=None, finished_at=None, updated_at=moment, keep_for=0.0,
    )  # fmt: skip
    assert job.finished == (state in FINAL)


def test_a_failures_summary_is_one_short_line() -> None:
    failure = Failure(attempt=1, type="ValueError", message="first\nsecond" + "x" * 1000)
    assert failure.summary == "ValueError: first"
    long = Failure(attempt=1, type="ValueError", message="x" * 1000)
    assert len(long.summary) == 500
    assert long.summary.endswith("…")
    assert Failure(attempt=1, type="KeyError", message="").summary == "KeyError"


@pytest.mark.parametrize(("crashes", "words"), [(1, "once"), (3, "3 times")])
def test_a_crash_says_how_often(crashes: int, words: str) -> None:
    failure = crash_failure(5, crashes)
    assert (failure.type, failure.attempt) == ("crashed", 5)
    assert failure.message.endswith(words)
