"""The options of tasks and jobs: what each takes, what it refuses, and in which words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from stoker import InvalidOption, exponential, fixed
from stoker.clock import SECOND, to_datetime
from stoker.options import DAY, Options


def option(name: str, value: Any) -> Any:
    return getattr(Options().using({name: value}), name)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("queue", "mail", "mail"),
        ("queue", "x" * 255, "x" * 255),
        ("priority", -100, -100),
        ("priority", 100, 100),
        ("delay", 0, 0),
        ("delay", 1.5, 1_500_000),
        ("delay", timedelta(minutes=1), 60 * SECOND),
        ("key", "cat.jpg", "cat.jpg"),
        ("key", None, None),
        ("owner", "u42", "u42"),
        ("owner", None, None),
        ("tags", ["a", "b"], ("a", "b")),
        ("tags", ("a", "a"), ("a",)),
        ("tags", iter(["a"]), ("a",)),
        ("tags", [], ()),
        ("meta", {"a": [1]}, '{"a":[1]}'),
        ("meta", None, None),
        ("max_attempts", 1, 1),
        ("max_attempts", 1_000_000, 1_000_000),
        ("max_crashes", 1, 1),
        ("keep_for", 0, 0),
        ("keep_for", timedelta(days=1), DAY),
        ("keep_for", None, 7 * DAY),
        ("timeout", 2, 2 * SECOND),
        ("timeout", None, None),
        ("executor", "thread", "thread"),
        ("executor", None, None),
        ("expose", True, True),
    ],
)
def test_it_takes(name: str, value: Any, kept: Any) -> None:
    assert option(name, value) == kept


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("queue", "", "queue must be a text of 1 to 255 characters, not ''"),
        ("queue", "x" * 256, "queue must be a text of 1 to 255 characters"),
        ("queue", None, "queue must be a text of 1 to 255 characters, not None"),
        ("queue", "a\x00b", "queue must be a text"),
        ("priority", 101, "priority must be a whole number from -100 to 100, not 101"),
        ("priority", -101, "priority must be a whole number from -100 to 100, not -101"),
        ("priority", 1.0, "priority must be a whole number"),
        ("priority", True, "priority must be a whole number"),
        ("priority", "high", "priority must be a whole number from -100 to 100, not 'high'"),
        ("delay", -1, "delay must be zero or more seconds (or a timedelta), not -1"),
        ("delay", timedelta(seconds=-1), "delay must be zero or more seconds"),
        ("delay", float("nan"), "delay must be zero or more seconds"),
        ("delay", float("inf"), "delay must be zero or more seconds"),
        ("delay", "60", "delay must be zero or more seconds (or a timedelta), not '60'"),
        ("delay", None, "delay must be zero or more seconds"),
        ("delay", True, "delay must be zero or more seconds"),
        ("run_at", datetime(2030, 1, 1), "run_at must be an aware datetime"),
        ("run_at", datetime(2030, 1, 1), "has no time zone; write datetime(…, tzinfo="),
        ("run_at", "2030-01-01", "run_at must be a datetime, not '2030-01-01'"),
        ("run_at", 5, "run_at must be a datetime, not 5"),
        ("key", "", "key must be a text of 1 to 255 characters, not ''"),
        ("key", 7, "key must be a text of 1 to 255 characters, not 7"),
        ("owner", "", "owner must be a text of 1 to 255 characters"),
        ("owner", 42, "owner must be a text of 1 to 255 characters, not 42"),
        ("tags", "img", "tags must be a list of texts, not one text: write ['img']"),
        ("tags", ["a", ""], "each of tags must be a text of 1 to 255 characters, not ''"),
        ("tags", [1], "each of tags must be a text"),
        ("tags", 5, "tags must be a list of texts, not 5"),
        ("tags", None, "tags must be a list of texts, not None"),
        ("meta", object(), "meta must be a JSON value: builtins.object has no JSON form"),
        ("max_attempts", 0, "max_attempts must be a whole number from 1 to 1000000, not 0"),
        ("max_attempts", 1.5, "max_attempts must be a whole number"),
        ("max_crashes", 0, "max_crashes must be a whole number from 1 to 1000000, not 0"),
        ("keep_for", -1, "keep_for must be zero or more seconds (or a timedelta), not -1"),
        ("timeout", 0, "timeout must be more than zero seconds, or None"),
        ("timeout", -3, "timeout must be zero or more seconds"),
        ("executor", "fiber", "executor must be one of 'loop', 'thread' and 'process', not 'fiber'"),
        ("backoff", "soon", "backoff must be exponential(…), fixed(…), seconds or a callable, not 'soon'"),
        ("backoff", True, "backoff must be exponential(…)"),
        ("backoff", None, "backoff must be exponential(…)"),
        ("backoff", -1, "seconds of zero or more, not -1"),
        ("backoff", float("nan"), "seconds of zero or more, not nan"),
        ("backoff", float("inf"), "seconds of zero or more, not inf"),
        ("retry_on", [ValueError("x")], "retry_on takes exception types, not ValueError('x')"),
        ("retry_on", int, "retry_on takes exception types, not <class 'int'>"),
        ("retry_on", 5, "retry_on takes exception types, not 5"),
        ("retry_on", "ValueError", "retry_on takes exception types, not 'ValueError'"),
        ("fail_on", None, "fail_on takes exception types, not None"),
        ("expose", 1, "expose must be True or False, not 1"),
    ],
)
def test_it_refuses(name: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        option(name, value)
    assert words in str(caught.value)


def test_an_unknown_option_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidOption, match=r"there is no option 'retries'; the options are .*max_attempts.*timeout"):
        Options().using({"retries": 3})


@pytest.mark.parametrize("name", ["delay", "run_at"])
def test_a_task_has_no_time_of_its_own(name: str) -> None:
    with pytest.raises(InvalidOption, match=rf"{name} is for one job, not for a task: use \.using\({name}=…\)"):
        Options.declared({name: 5})


def test_delay_and_run_at_exclude_each_other() -> None:
    with pytest.raises(InvalidOption, match="give either delay or run_at, not both"):
        Options().using({"delay": 1, "run_at": datetime(2030, 1, 1, tzinfo=UTC)})


def test_the_later_of_delay_and_run_at_replaces_the_earlier() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    late = Options().using({"run_at": moment}).using({"delay": 5})
    assert (late.delay, late.run_at) == (5 * SECOND, None)
    fixed_time = late.using({"run_at": moment})
    assert fixed_time.delay == 0
    assert to_datetime(fixed_time.run_at or 0) == moment


def test_run_at_is_one_instant_in_every_zone() -> None:
    berlin = datetime(2030, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert to_datetime(option("run_at", berlin)) == datetime(2030, 7, 1, 10, tzinfo=UTC)


def test_using_leaves_the_task_as_it_was() -> None:
    task = Options.declared({"queue": "slow", "tags": ["a"]})
    job = task.using({"queue": "fast", "priority": 5})
    assert (task.queue, task.priority) == ("slow", 0)
    assert (job.queue, job.priority, job.tags) == ("fast", 5, ("a",))


def test_what_only_the_store_needs_does_not_travel_twice() -> None:
    job = Options().using({"queue": "q", "priority": 1, "key": "k", "owner": "o", "tags": ["t"], "max_attempts": 3})
    assert job.overrides() is None


def test_what_the_task_declares_does_not_travel() -> None:
    assert Options.declared({"timeout": 5, "backoff": fixed(1), "fail_on": [KeyError]}).overrides() is None


def test_what_a_job_changes_of_the_workers_options_travels() -> None:
    job = Options().using({"timeout": 5, "backoff": fixed(1), "retry_on": [OSError], "executor": "thread"})
    assert json.loads(job.overrides() or "") == {
        "timeout": 5 * SECOND,
        "backoff": {"type": "fixed", "pause": 1.0},
        "retry_on": ["OSError"],
        "executor": "thread",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": 5},
        {"timeout": None},
        {"executor": "process"},
        {"executor": None},
        {"backoff": exponential(base=2, cap=9, jitter=False)},
        {"backoff": 7},
        {"retry_on": [OSError, KeyError]},
        {"retry_on": None},
        {"fail_on": []},
        {"fail_on": LookupError},
        {"timeout": 1, "fail_on": [OSError]},
    ],
)
def test_overrides_arrive_as_they_were_given(changes: dict[str, Any]) -> None:
    task = Options.declared({"timeout": 60, "executor": "loop", "retry_on": [ValueError], "fail_on": [TypeError]})
    sent = task.using(changes)
    arrived = task.overridden(sent.overrides() or "")
    assert (arrived.timeout, arrived.executor, arrived.policy) == (sent.timeout, sent.executor, sent.policy)


def test_later_overrides_are_merged_with_earlier_ones() -> None:
    job = Options().using({"timeout": 5}).using({"fail_on": [OSError]}).using({"timeout": 6})
    assert json.loads(job.overrides() or "") == {"fail_on": ["OSError"], "timeout": 6 * SECOND}


def test_what_a_job_does_not_override_follows_the_task() -> None:
    sent = Options().using({"timeout": 5}).overrides() or ""
    newer = Options.declared({"executor": "thread", "fail_on": [OSError]})
    arrived = newer.overridden(sent)
    assert (arrived.timeout, arrived.executor, arrived.policy.fail_on) == (5 * SECOND, "thread", ("OSError",))


def test_overrides_of_a_newer_version_are_ignored() -> None:
    assert Options().overridden('{"timeout": 5, "colour": "red"}').timeout == 5


def test_a_function_as_backoff_stays_with_the_task() -> None:
    task = Options.declared({"backoff": lambda failed: failed * 2})
    assert task.using({"queue": "q"}).overrides() is None
    job = task.using({"backoff": lambda failed: failed * 3})
    with pytest.raises(InvalidOption, match=r"a backoff that is a function cannot travel .* or set it on the task"):
        job.overrides()
