"""Hooks and middleware around attempts and workers; and what happens when they raise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoker import Cancel, Context, JobCancelled, JobFailed
from stoker.events import Event, HookFailed
from stoker.job import Raised, Returned

WAIT = 30


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def told(place: Any) -> list[Event]:
    events: list[Event] = []
    place.app.subscribe(events.append)
    return events


def declare(app: Any) -> Any:
    @app.task(name="sync", max_attempts=2, backoff=0)
    def sync(words: str = "") -> str:
        if words:
            raise ValueError(words)
        return "ok"

    @app.task(name="async", max_attempts=2, backoff=0)
    async def asynchronous(words: str = "") -> str:
        await asyncio.sleep(0)
        if words:
            raise ValueError(words)
        return "ok"

    return [sync, asynchronous]


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_hooks_stand_before_and_after_each_attempt(place: Any, seen: list[Any], colour: str) -> None:
    if colour == "sync":
        place.app.before(lambda ctx: seen.append(("before", ctx.task, ctx.attempt)))
        place.app.after(lambda ctx, ending: seen.append(("after", ctx.attempt, type(ending))))
    else:

        @place.app.before
        async def before(ctx: Context) -> None:
            await asyncio.sleep(0)
            seen.append(("before", ctx.task, ctx.attempt))

        @place.app.after
        async def after(ctx: Context, ending: Any) -> None:
            await asyncio.sleep(0)
            seen.append(("after", ctx.attempt, type(ending)))

    tasks = declare(place.app)
    place.work()
    for task in tasks:
        seen.clear()
        assert task.enqueue().result(WAIT) == "ok"
        with pytest.raises(JobFailed):
            task.enqueue("no").result(WAIT)
        assert seen == [
            ("before", task.name, 1), ("after", 1, Returned),
            ("before", task.name, 1), ("after", 1, Raised),
            ("before", task.name, 2), ("after", 2, Raised),
        ]  # fmt: skip


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_on_failure_is_told_once_the_job_has_failed_for_good(place: Any, seen: list[Any], colour: str) -> None:
    if colour == "sync":
        place.app.on_failure(lambda ctx, raised: seen.append((ctx.job_id, ctx.attempt, raised.message)))
    else:

        @place.app.on_failure
        async def failed(ctx: Context, raised: Raised) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            seen.append((ctx.job_id, ctx.attempt, raised.message))

    tasks = declare(place.app)
    handles = [task.enqueue("no") for task in tasks] + [task.enqueue() for task in tasks]
    if place.mode == "queue":
        place.drain()
    for handle in handles[:2]:
        with pytest.raises(JobFailed):
            handle.result(WAIT)
    if place.mode == "async":
        place.app.close()
    assert sorted(seen) == sorted((handle.id, 2, "no") for handle in handles[:2])


def test_a_before_hook_that_raises_fails_the_attempt(place: Any, seen: list[Any]) -> None:
    @place.app.before
    def refuse(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise OSError("not now")

    tasks = declare(place.app)
    place.work()
    for task in tasks:
        handle = task.enqueue()
        assert handle.result(WAIT) == "ok"
        assert [entry.message for entry in handle.refresh().errors] == ["not now"]


def test_a_before_hook_may_cancel(place: Any) -> None:
    @place.app.before
    def refuse(ctx: Context) -> None:
        raise Cancel("not for you")

    tasks = declare(place.app)
    place.work()
    for task in tasks:
        with pytest.raises(JobCancelled, match="not for you"):
            task.enqueue().result(WAIT)


def test_an_after_hook_that_raises_changes_nothing(place: Any, told: list[Event]) -> None:
    @place.app.after
    def broken(ctx: Context, ending: Any) -> None:
        raise OSError("after")

    tasks = declare(place.app)
    place.work()
    for task in tasks:
        assert task.enqueue().result(WAIT) == "ok"
    failed = [event for event in told if isinstance(event, HookFailed)]
    assert [str(event.error) for event in failed] == ["after", "after"]
    assert failed[0].hook.endswith("broken")


def test_middleware_stands_around_in_the_order_of_declaration(place: Any, seen: list[Any]) -> None:
    @place.app.middleware
    async def outer(run: Any, next: Any) -> Any:
        seen.append(("outer", run.task.name, run.args, run.kwargs, run.context.attempt))
        ending = await next(run)
        seen.append("outer again")
        return ending

    @place.app.middleware
    async def inner(run: Any, next: Any) -> Any:
        seen.append("inner")
        return await next(run)

    @place.app.task
    def add(a: int, b: int = 0) -> int:
        seen.append("task")
        return a + b

    place.work()
    assert add.enqueue(1, b=2).result(WAIT) == 3
    assert seen == [("outer", add.name, (1,), {"b": 2}, 1), "inner", "task", "outer again"]


def test_middleware_may_answer_itself(place: Any) -> None:
    @place.app.middleware
    async def cached(run: Any, next: Any) -> Any:
        return Returned('"cached"')

    tasks = declare(place.app)
    place.work()
    for task in tasks:
        assert task.enqueue("no").result(WAIT) == "cached"


def test_middleware_that_raises_fails_the_attempt(place: Any) -> None:
    @place.app.middleware
    async def broken(run: Any, next: Any) -> Any:
        await next(run)
        raise OSError("too late")

    tasks = declare(place.app)
    place.work()
    for task in tasks:
        with pytest.raises(JobFailed, match="OSError: too late"):
            task.enqueue().result(WAIT)


def test_middleware_that_forgets_to_return_fails_the_attempt(place: Any) -> None:
    @place.app.middleware
    async def forgetful(run: Any, next: Any) -> Any:
        await next(run)

    tasks = declare(place.app)
    place.work()
    for task in tasks:
        with pytest.raises(JobFailed, match=r"forgetful must return what next\(run\) gave it, .*not None"):
            task.enqueue().result(WAIT)


def test_hooks_of_the_worker_stand_around_all_jobs(running_place: Any, seen: list[Any]) -> None:
    app = running_place.app
    app.on_start(lambda: seen.append("start"))

    @app.on_stop
    async def stop() -> None:
        await asyncio.sleep(0)
        seen.append("stop")

    @app.on_stop
    def broken() -> None:
        seen.append("broken")
        raise OSError("at the end")

    told: list[Event] = []
    app.subscribe(told.append)
    task = app.task(name="note")(lambda: seen.append("job"))
    serving = running_place.work()
    task.enqueue().result(WAIT)
    if serving:
        serving.stop()
    app.close()
    assert seen == ["start", "job", "broken", "stop"]
    assert [str(event.error) for event in told if isinstance(event, HookFailed)] == ["at the end"]


def test_a_start_hook_that_raises_keeps_the_worker_from_starting(queue_place: Any) -> None:
    @queue_place.app.on_start
    async def refuse() -> None:
        raise OSError("no camera")

    with pytest.raises(OSError, match="no camera"):
        queue_place.worker()
    assert queue_place.app.workers.list() == []
    queue_place._serving.clear()


def test_a_sink_sees_what_happens(place: Any, told: list[Event]) -> None:
    tasks = declare(place.app)
    place.work()
    with pytest.raises(JobFailed):
        tasks[0].enqueue("no").result(WAIT)
    ends = [event for event in told if type(event).__name__ == "JobEnded"]
    assert [event.outcome.verdict for event in ends] == ["retry", "failed"]  # type: ignore[union-attr]
