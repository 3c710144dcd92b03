"""What tasks say through `ctx.log` is kept with their jobs, attempt by attempt."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from stoker import Cancel, Context, JobCancelled, JobFailed, JobNotFound, Snooze

WAIT = 30


def said(app: Any, id: str) -> list[tuple[int, list[str]]]:
    """Of each attempt its number, and its lines without their times."""
    return [(log.attempt, [line.split(" ", 1)[1] for line in log.text.splitlines()]) for log in app.jobs.logs(id)]


def until(condition: Any) -> Any:
    for _ in range(3000):
        found = condition()
        if found:
            return found
        threading.Event().wait(0.01)
    raise AssertionError("this did not come true")


def test_every_attempt_has_a_log_of_its_own(place: Any) -> None:
    def body(ctx: Context) -> None:
        ctx.log.info("attempt %d begins", ctx.attempt)
        ctx.log.debug("nobody wants to know")
        ctx.log.warning("and ends")
        if ctx.attempt < 3:
            raise ValueError

    @place.app.task(name="sync", max_attempts=3, backoff=0)
    def sync(ctx: Context) -> None:
        body(ctx)

    @place.app.task(name="async", max_attempts=3, backoff=0)
    async def asynchronous(ctx: Context) -> None:
        await asyncio.sleep(0)
        body(ctx)

    place.work()
    for task in (sync, asynchronous):
        handle = task.enqueue()
        handle.result(WAIT)
        assert said(place.app, handle.id) == [
            (number, [f"INFO attempt {number} begins", "WARNING and ends"]) for number in (1, 2, 3)
        ]
        assert asyncio.run(place.app.jobs.alogs(handle.id)) == place.app.jobs.logs(handle.id)


def test_however_an_attempt_ends_its_last_lines_are_kept(place: Any) -> None:
    snoozed: list[str] = []  # the log does not say: a line may have reached the store before the attempt ends

    @place.app.task
    async def end(how: str, ctx: Context) -> None:
        ctx.log.info("the last words before %s", how)
        if how == "failure":
            raise ValueError
        if how == "cancel":
            raise Cancel("enough")
        if how == "snooze" and not snoozed:
            snoozed.append(ctx.job_id)
            raise Snooze(0)

    place.work()
    for how, error in {"failure": JobFailed, "cancel": JobCancelled, "snooze": None}.items():
        handle = end.enqueue(how)
        if error is None:
            handle.result(WAIT)
        else:
            with pytest.raises(error):
                handle.result(WAIT)
        line = f"INFO the last words before {how}"
        assert said(place.app, handle.id) == [(1, [line])] * (2 if how == "snooze" else 1)


def test_a_job_that_said_nothing_has_no_log_and_an_unknown_one_is_told(place: Any) -> None:
    @place.app.task
    def mute(ctx: Context) -> None:
        ctx.progress(1)

    place.work()
    handle = mute.enqueue()
    handle.result(WAIT)
    assert place.app.jobs.logs(handle.id) == []
    with pytest.raises(JobNotFound):
        place.app.jobs.logs("019a0000-0000-7000-8000-000000000000")
    with pytest.raises(JobNotFound):
        asyncio.run(place.app.jobs.alogs("019a0000-0000-7000-8000-000000000000"))


def test_hooks_and_threads_of_a_task_have_a_say(place: Any) -> None:
    @place.app.before
    def before(ctx: Context) -> None:
        ctx.log.info("before")

    @place.app.after
    def after(ctx: Context, _: Any) -> None:
        ctx.log.info("after")

    @place.app.task
    def work(ctx: Context) -> None:
        thread = threading.Thread(target=ctx.log.info, args=("from a thread",))
        thread.start()
        thread.join()

    place.work()
    handle = work.enqueue()
    handle.result(WAIT)
    assert said(place.app, handle.id) == [(1, ["INFO before", "INFO from a thread", "INFO after"])]


def test_lines_can_be_read_while_the_job_runs(running_place: Any) -> None:
    go_on = threading.Event()

    @running_place.app.task
    def wait(ctx: Context) -> None:
        ctx.log.info("here I am")
        go_on.wait(WAIT)
        ctx.log.info("there I go")

    running_place.work()
    handle = wait.enqueue()
    until(lambda: running_place.app.jobs.logs(handle.id))
    assert said(running_place.app, handle.id) == [(1, ["INFO here I am"])]
    go_on.set()
    handle.result(WAIT)
    assert said(running_place.app, handle.id) == [(1, ["INFO here I am", "INFO there I go"])]


def test_an_outcome_does_not_overtake_what_the_attempt_logged(
    memory_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes lines of claims that are held. A heartbeat under way must arrive before the end does."""
    app = memory_place.app
    under_way, arrive = threading.Event(), threading.Event()
    driver = app.engine.open()[1]
    run = driver.run

    def slowly(plan: Any) -> Any:
        if plan.name == "heartbeat":
            under_way.set()
            assert arrive.wait(WAIT)
        return run(plan)

    @app.task
    async def wait(ctx: Context) -> None:
        ctx.log.info("first")
        while not under_way.is_set():
            await asyncio.sleep(0.01)
        ctx.log.info("second")

    serving = memory_place.work()
    monkeypatch.setattr(driver, "run", slowly)
    handle = wait.enqueue()
    until(lambda: serving.worker._withheld)
    assert handle.refresh().state == "processing"
    arrive.set()
    handle.result(WAIT)
    assert said(app, handle.id) == [(1, ["INFO first", "INFO second"])]


def test_the_program_s_own_log_is_the_same_as_ever(place: Any, caplog: pytest.LogCaptureFixture) -> None:
    @place.app.task(name="talk")
    def talk(ctx: Context) -> None:
        ctx.log.info("not for you")
        ctx.log.error("for you")

    place.work()
    with caplog.at_level(logging.WARNING):
        talk.enqueue().result(WAIT)
    records = [record for record in caplog.records if record.name == "stoker.task.talk"]
    assert [record.getMessage() for record in records] == ["for you"]
    assert records[0].funcName == "talk"
