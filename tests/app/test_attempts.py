"""Attempts: retries and their pauses, endings by exception, timeouts, and what a task says while it runs."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoker import Cancel, Context, InvalidArguments, JobCancelled, JobFailed, Retry, Snooze, exponential, fixed

WAIT = 30


def both(app: Any, body: Any, **options: Any) -> list[Any]:
    """The same task as a sync and an async function."""

    @app.task(name="sync", **options)
    def sync(ctx: Context) -> Any:
        return body(ctx)

    @app.task(name="async", **options)
    async def asynchronous(ctx: Context) -> Any:
        await asyncio.sleep(0)
        return body(ctx)

    return [sync, asynchronous]


def test_a_failed_attempt_is_followed_by_another(place: Any) -> None:
    def body(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise ValueError(f"attempt {ctx.attempt}")
        return ctx.attempt

    tasks = both(place.app, body, max_attempts=5, backoff=0)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        assert handle.result(WAIT) == 3
        job = handle.refresh()
        assert (job.state, job.attempt, job.max_attempts, job.error) == ("completed", 3, 5, None)
        assert [(entry.attempt, entry.message) for entry in job.errors] == [(1, "attempt 1"), (2, "attempt 2")]


def test_attempts_end_at_their_number(place: Any) -> None:
    seen = []

    def body(ctx: Context) -> None:
        seen.append((ctx.attempt, ctx.max_attempts))
        raise ValueError("never")

    tasks = both(place.app, body, max_attempts=2, backoff=fixed(0))
    place.work()
    for task in tasks:
        with pytest.raises(JobFailed, match="ValueError: never"):
            task.enqueue().result(WAIT)
    assert seen == [(1, 2), (2, 2)] * 2


def test_a_pause_stands_between_attempts(queue_place: Any) -> None:
    [task, _] = both(queue_place.app, lambda ctx: 1 // 0, max_attempts=3, backoff=exponential(base=60, jitter=False))
    handle = task.enqueue()
    queue_place.drain()
    job = handle.refresh()
    assert (job.state, job.attempt) == ("scheduled", 1)
    assert timedelta(seconds=59) < job.run_at - (job.started_at or job.run_at) < timedelta(seconds=120)  # the next one


def test_a_job_may_have_its_own_pause(queue_place: Any) -> None:
    [task, _] = both(queue_place.app, lambda ctx: 1 // 0, max_attempts=3, backoff=0)
    handle = task.using(backoff=3600).enqueue()
    queue_place.drain()
    assert handle.refresh().state == "scheduled"


@pytest.mark.parametrize(
    ("options", "kind", "attempts"),
    [
        ({"retry_on": [OSError]}, ConnectionError, 3),
        ({"retry_on": [OSError]}, ValueError, 1),
        ({"fail_on": [LookupError]}, KeyError, 1),
        ({"fail_on": [LookupError]}, ValueError, 3),
    ],
)
def test_some_exceptions_are_not_worth_another_attempt(
    place: Any, options: dict[str, Any], kind: type[Exception], attempts: int
) -> None:
    def body(ctx: Context) -> None:
        raise kind("no")

    tasks = both(place.app, body, max_attempts=3, backoff=0, **options)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        with pytest.raises(JobFailed):
            handle.result(WAIT)
        assert handle.refresh().attempt == attempts


def test_retry_asks_for_another_attempt(place: Any) -> None:
    def body(ctx: Context) -> str:
        if ctx.attempt == 1:
            raise Retry("busy", after=0)
        return "done"

    tasks = both(place.app, body, max_attempts=2, backoff=3600, fail_on=[Exception])
    place.work()
    for task in tasks:
        handle = task.enqueue()
        assert handle.result(WAIT) == "done"
        assert [entry.message for entry in handle.refresh().errors] == ["busy"]


def test_retry_is_charged(place: Any) -> None:
    def body(ctx: Context) -> None:
        raise Retry("busy", after=0)

    tasks = both(place.app, body, max_attempts=2)
    place.work()
    for task in tasks:
        with pytest.raises(JobFailed, match=r"stoker\.errors\.Retry: busy"):
            task.enqueue().result(WAIT)


def test_snooze_is_not_charged(place: Any) -> None:
    seen = []

    def body(ctx: Context) -> int:
        seen.append(ctx.attempt)
        if len(seen) % 4:
            raise Snooze(0.001)
        return ctx.attempt

    tasks = both(place.app, body, max_attempts=1)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        assert handle.result(WAIT) == 1
        assert handle.refresh().errors == ()
    assert seen == [1] * 8


def test_cancel_ends_the_job(place: Any) -> None:
    def body(ctx: Context) -> None:
        raise Cancel("no such user")

    tasks = both(place.app, body, max_attempts=5)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        with pytest.raises(JobCancelled, match="was cancelled: no such user"):
            handle.result(WAIT)
        assert (handle.refresh().attempt, handle.refresh().error) == (1, "no such user")


def test_an_async_task_is_stopped_at_its_timeout(place: Any) -> None:
    @place.app.task(timeout=0.05)
    async def endless() -> None:
        await asyncio.Event().wait()

    place.work()
    handle = endless.enqueue()
    with pytest.raises(JobFailed, match=r"TimeoutError: timed out after 0\.05 s"):
        handle.result(WAIT)


def test_a_sync_task_hears_of_its_timeout(running_place: Any) -> None:
    @running_place.app.task(timeout=0.05)
    def patient(ctx: Context) -> None:
        while True:
            ctx.raise_if_cancelled()
            threading.Event().wait(0.001)

    running_place.work()
    with pytest.raises(JobFailed, match=r"TimeoutError: timed out after 0\.05 s"):
        patient.enqueue().result(WAIT)


def test_a_timeout_is_a_failed_attempt(place: Any) -> None:
    @place.app.task(timeout=0.05, max_attempts=2, backoff=0)
    async def second_time(ctx: Context) -> int:
        if ctx.attempt == 1:
            await asyncio.Event().wait()
        return ctx.attempt

    place.work()
    handle = second_time.enqueue()
    assert handle.result(WAIT) == 2
    assert [entry.type for entry in handle.refresh().errors] == ["TimeoutError"]


def test_timeouts_can_be_retried_on(place: Any) -> None:
    @place.app.task(timeout=0.05, max_attempts=2, backoff=0, retry_on=[TimeoutError])
    async def endless() -> None:
        await asyncio.Event().wait()

    place.work()
    handle = endless.enqueue()
    with pytest.raises(JobFailed):
        handle.result(WAIT)
    assert handle.refresh().attempt == 2


def test_a_job_may_have_its_own_timeout(place: Any) -> None:
    @place.app.task(timeout=3600)
    async def endless() -> None:
        await asyncio.Event().wait()

    place.work()
    with pytest.raises(JobFailed, match="timed out"):
        endless.using(timeout=0.02).enqueue().result(WAIT)


def test_the_context_tells_the_facts(place: Any) -> None:
    def body(ctx: Context) -> list[Any]:
        left = ctx.deadline - datetime.now(UTC) if ctx.deadline else None
        assert ctx.app is place.app
        assert not ctx.cancelled
        return [ctx.job_id, ctx.attempt, ctx.max_attempts, ctx.owner, left is not None and left < timedelta(hours=1)]

    tasks = both(place.app, body, max_attempts=3, timeout=3600)
    place.work()
    for task in tasks:
        handle = task.using(owner="u42").enqueue()
        assert handle.result(WAIT) == [handle.id, 1, 3, "u42", True]


def test_the_last_words_always_arrive(place: Any) -> None:
    def body(ctx: Context) -> None:
        for n in range(1000):
            ctx.progress(n, 1000, f"step {n}")
        ctx.progress(1000, 1000)

    tasks = both(place.app, body)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        handle.result(WAIT)
        assert (handle.refresh().progress, handle.refresh().message) == (1.0, "step 999")


def test_progress_is_seen_while_the_job_runs(running_place: Any) -> None:
    go_on = threading.Event()

    @running_place.app.task
    def slow(ctx: Context) -> None:
        ctx.progress(1, 4, "a quarter")
        assert go_on.wait(WAIT)

    running_place.work()
    handle = slow.enqueue()
    try:
        for _ in range(3000):
            job = handle.refresh()
            if job.progress is not None:
                break
            threading.Event().wait(0.01)
        assert (job.progress, job.message, job.state) == (0.25, "a quarter", "processing")
    finally:
        go_on.set()
    handle.result(WAIT)


def test_a_checkpoint_reaches_the_next_attempt(place: Any) -> None:
    def body(ctx: Context) -> list[Any]:
        steps = ctx.checkpoint or []
        ctx.save([*steps, ctx.attempt])
        if ctx.attempt < 3:
            raise ValueError
        return ctx.checkpoint

    tasks = both(place.app, body, max_attempts=3, backoff=0)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        assert handle.result(WAIT) == [1, 2, 3]
        assert handle.refresh().checkpoint == [1, 2, 3]


def test_a_checkpoint_that_is_no_json_is_refused(place: Any) -> None:
    def body(ctx: Context) -> None:
        ctx.save({"a": object()})

    tasks = both(place.app, body)
    place.work()
    for task in tasks:
        with pytest.raises(JobFailed, match=r"ctx\.save\(\) takes a JSON value") as caught:
            task.enqueue().result(WAIT)
        assert caught.value.type.endswith(InvalidArguments.__name__)


def test_a_log_record_carries_the_job(place: Any, caplog: pytest.LogCaptureFixture) -> None:
    def body(ctx: Context) -> None:
        ctx.log.warning("mind the %s", "gap")

    tasks = both(place.app, body)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        handle.result(WAIT)
        [record] = [record for record in caplog.records if record.name == f"stoker.task.{task.name}"]
        assert record.getMessage() == "mind the gap"
        assert (record.job_id, record.attempt) == (handle.id, 1)  # type: ignore[attr-defined]


def test_a_running_async_job_is_cancelled_at_once(running_place: Any) -> None:
    begun, ended = threading.Event(), threading.Event()

    @running_place.app.task(max_attempts=5)
    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running_place.work()
    handle = endless.enqueue()
    assert begun.wait(WAIT)
    assert running_place.app.jobs.cancel(handle.id, reason="enough") == 1
    with pytest.raises(JobCancelled, match="enough"):
        handle.result(WAIT)
    assert ended.wait(WAIT)


def test_a_running_sync_job_hears_that_it_is_cancelled(running_place: Any) -> None:
    begun = threading.Event()

    @running_place.app.task
    def patient(ctx: Context) -> None:
        begun.set()
        while not ctx.cancelled:
            threading.Event().wait(0.001)
        ctx.raise_if_cancelled()

    running_place.work()
    handle = patient.enqueue()
    assert begun.wait(WAIT)
    running_place.app.jobs.cancel(handle.id)
    with pytest.raises(JobCancelled):
        handle.result(WAIT)


def test_a_job_that_completes_in_spite_of_the_order_says_so(running_place: Any) -> None:
    begun = threading.Event()

    @running_place.app.task
    def deaf(ctx: Context) -> str:
        begun.set()
        while not ctx.cancelled:
            threading.Event().wait(0.001)
        return "done all the same"

    running_place.work()
    handle = deaf.enqueue()
    assert begun.wait(WAIT)
    running_place.app.jobs.cancel(handle.id)
    assert handle.result(WAIT) == "done all the same"
    assert handle.refresh().state == "completed"


def test_a_queued_job_that_is_cancelled_never_starts(queue_place: Any) -> None:
    started = []
    task = queue_place.app.task(name="note")(lambda: started.append(1))
    first, second = task.enqueue(), task.enqueue()
    queue_place.app.jobs.cancel(first.id)
    queue_place.drain()
    assert (first.refresh().state, second.refresh().state) == ("cancelled", "completed")
    assert started == [1]


def test_jobs_start_by_priority_and_then_in_order(queue_place: Any) -> None:
    order: list[int] = []
    task = queue_place.app.task(name="note")(lambda n: order.append(n))
    for n, priority in enumerate([0, 5, -5, 5, 0, 100, -100]):
        task.using(priority=priority).enqueue(n)
    queue_place.drain(concurrency=1)
    assert order == [5, 1, 3, 0, 4, 2, 6]
