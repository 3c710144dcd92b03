"""Enqueuing and getting results: the same in every mode."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoker import (
    AppClosed,
    Context,
    InvalidArguments,
    InvalidOption,
    JobCancelled,
    JobFailed,
    JobHandle,
    JobNotFound,
    Stoker,
    StoreUnavailable,
)
from stoker.errors import RemoteTraceback

WAIT = 30


def tasks(app: Stoker) -> Any:
    class Declared:
        @staticmethod
        def declare() -> None:
            @app.task(name="add")
            def add(a: int, b: int = 1) -> int:
                return a + b

            @app.task(name="aadd")
            async def aadd(a: int, b: int = 1) -> int:
                await asyncio.sleep(0)
                return a + b

            @app.task(name="fail")
            def fail(words: str) -> None:
                raise LookupError(words)

            Declared.add, Declared.aadd, Declared.fail = add, aadd, fail

    Declared.declare()
    return Declared


@pytest.mark.parametrize("name", ["add", "aadd"])
def test_a_result_reaches_sync_code(place: Any, name: str) -> None:
    add = getattr(tasks(place.app), name)
    place.work()
    assert add.enqueue(2, b=3).result(WAIT) == 5


@pytest.mark.parametrize("name", ["add", "aadd"])
@pytest.mark.asyncio
async def test_a_result_reaches_async_code(place: Any, name: str) -> None:
    add = getattr(tasks(place.app), name)
    place.work()
    handle = await add.aenqueue(2)
    assert await asyncio.wait_for(_awaited(handle), WAIT) == 3


async def _awaited(handle: JobHandle[Any]) -> Any:
    return await handle


def test_many_calls_give_handles_in_order(place: Any) -> None:
    declared = tasks(place.app)
    place.work()
    handles = place.app.enqueue_many([declared.add.call(n) for n in range(20)] + [declared.aadd.call(100)])
    assert [handle.result(WAIT) for handle in handles] == [*range(1, 21), 101]
    assert [handle.id for handle in handles] == sorted(handle.id for handle in handles)


@pytest.mark.asyncio
async def test_many_calls_from_async_code(place: Any) -> None:
    declared = tasks(place.app)
    place.work()
    handles = await place.app.aenqueue_many([declared.add.call(n) for n in range(20)])
    assert [await asyncio.wait_for(_awaited(handle), WAIT) for handle in handles] == list(range(1, 21))


def test_nothing_to_enqueue_is_nothing(place: Any) -> None:
    assert place.app.enqueue_many([]) == []


def test_a_failed_job_raises_with_its_cause(place: Any) -> None:
    fail = tasks(place.app).fail
    place.work()
    handle = fail.enqueue("no cat")
    with pytest.raises(JobFailed, match=rf"job {handle.id} failed: LookupError: no cat") as caught:
        handle.result(WAIT)
    assert (caught.value.type, caught.value.message) == ("LookupError", "no cat")
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "raise LookupError(words)" in str(caught.value.__cause__)
    record = handle.refresh()
    assert record.state == "failed"
    assert record.error == "LookupError: no cat"
    assert [(entry.attempt, entry.type, entry.message) for entry in record.errors] == [(1, "LookupError", "no cat")]


def test_a_result_that_has_no_json_fails_the_attempt(place: Any) -> None:
    @place.app.task(name="odd")
    def odd() -> Any:
        return {"a": object()}

    place.work()
    with pytest.raises(JobFailed, match=r"the result of odd cannot be kept: builtins.object has no JSON form"):
        odd.enqueue().result(WAIT)


def test_system_exit_is_a_failure_like_any_other(place: Any) -> None:
    @place.app.task(name="leave")
    def leave() -> None:
        raise SystemExit(3)

    place.work()
    add = tasks(place.app).add
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        leave.enqueue().result(WAIT)
    assert add.enqueue(1).result(WAIT) == 2


def test_waiting_ends_with_a_timeout(queue_place: Any) -> None:
    handle = tasks(queue_place.app).add.enqueue(1)
    with pytest.raises(TimeoutError, match=rf"job {handle.id} is still queued after 0.01 s"):
        handle.result(timeout=0.01)


@pytest.mark.asyncio
async def test_awaiting_can_be_given_up(queue_place: Any) -> None:
    handle = await tasks(queue_place.app).add.aenqueue(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_awaited(handle), 0.01)
    queue_place.work()
    assert await asyncio.wait_for(_awaited(handle), WAIT) == 2


def test_a_cancelled_job_raises(queue_place: Any) -> None:
    handle = tasks(queue_place.app).add.enqueue(1)
    assert queue_place.app.jobs.cancel(handle.id, reason="too late") == 1
    with pytest.raises(JobCancelled, match=rf"job {handle.id} was cancelled: too late") as caught:
        handle.result(WAIT)
    assert caught.value.reason == "too late"


def test_an_unknown_id_is_never_pending(place: Any) -> None:
    for ask in (place.app.jobs.get, lambda id: place.app.jobs.handle(id).result(1), place.app.jobs.cancel):
        with pytest.raises(JobNotFound, match="no job has the id 'nope'"):
            ask("nope")


@pytest.mark.asyncio
async def test_an_unknown_id_is_never_pending_in_async_code(place: Any) -> None:
    with pytest.raises(JobNotFound):
        await place.app.jobs.aget("nope")
    with pytest.raises(JobNotFound):
        await asyncio.wait_for(_awaited(place.app.jobs.handle("nope")), WAIT)


def test_a_wrong_call_enqueues_nothing(place: Any) -> None:
    add = tasks(place.app).add
    with pytest.raises(InvalidArguments, match="argument 'a': expected `int`, got `str`"):
        add.enqueue("x")
    with pytest.raises(InvalidArguments):
        place.app.enqueue_many([add.call(1), add.call("x")])
    with pytest.raises(InvalidOption, match="priority"):
        add.using(priority=101)
    assert place.app.jobs.count() == {}


def test_options_are_kept_with_the_job(queue_place: Any) -> None:
    add = tasks(queue_place.app).add
    when = datetime(2030, 1, 1, tzinfo=UTC)
    job = add.using(
        queue="slow", priority=5, owner="u42", key="cat", tags=["img", "big"], meta={"a": [1]}, run_at=when,
        max_attempts=4, max_crashes=2, keep_for=timedelta(minutes=1), timeout=9,
    ).enqueue(1, b=2).refresh()  # fmt: skip
    assert (job.task, job.queue, job.priority, job.owner, job.key) == ("add", "slow", 5, "u42", "cat")
    assert (job.tags, job.meta, job.run_at, job.state) == (("img", "big"), {"a": [1]}, when, "scheduled")
    assert (job.max_attempts, job.max_crashes, job.keep_for) == (4, 2, 60.0)
    assert (job.args, job.kwargs, job.overrides) == ([1], {"b": 2}, {"timeout": 9_000_000})
    assert (job.attempt, job.crashes, job.progress, job.result, job.error, job.errors) == (0, 0, None, None, None, ())


def test_times_are_aware_and_in_order(place: Any) -> None:
    place.work()
    handle = tasks(place.app).add.enqueue(1)
    handle.result(WAIT)
    job = handle.refresh()
    assert job.started_at is not None
    assert job.finished_at is not None
    assert all(moment.tzinfo is UTC for moment in (job.created_at, job.run_at, job.started_at, job.finished_at))
    assert job.created_at <= job.started_at <= job.finished_at <= job.updated_at
    assert (job.state, job.attempt, job.result, job.crashes) == ("completed", 1, 2, 0)
    assert job.worker


def test_a_delayed_job_waits(queue_place: Any) -> None:
    add = tasks(queue_place.app).add
    later = add.using(delay=timedelta(hours=1)).enqueue(1)
    now = add.enqueue(2)
    queue_place.drain()
    assert later.refresh().state == "scheduled"
    assert later.refresh().run_at - later.refresh().created_at == timedelta(hours=1)
    assert now.refresh().state == "completed"


def test_a_delayed_job_runs_when_it_is_due(running_place: Any) -> None:
    running_place.work()
    assert tasks(running_place.app).add.using(delay=0.05).enqueue(1).result(WAIT) == 2


def test_foreground_leaps_over_delays(make_place: Any) -> None:
    place = make_place("foreground")
    assert tasks(place.app).add.using(delay=timedelta(days=30)).enqueue(1).refresh().state == "completed"


def test_a_key_has_one_unfinished_job(queue_place: Any) -> None:
    add = tasks(queue_place.app).add
    first, second = add.using(key="k").enqueue(1), add.using(key="k").enqueue(2)
    assert (first.created, second.created) == (True, False)
    assert first == second
    assert queue_place.app.jobs.count() == {"queued": 1}
    queue_place.drain()
    third = add.using(key="k").enqueue(3)
    assert third.created
    assert third != first


@pytest.mark.asyncio
async def test_a_key_has_one_unfinished_job_in_one_batch(queue_place: Any) -> None:
    add = tasks(queue_place.app).add.using(key="k")
    handles = await asyncio.gather(*(add.aenqueue(n) for n in range(20)))
    assert len({handle.id for handle in handles}) == 1
    assert [handle.created for handle in handles].count(True) == 1


def test_a_key_may_be_a_function_of_the_arguments(queue_place: Any) -> None:
    @queue_place.app.task(key=lambda doc, force=False: None if force else f"doc-{doc}")
    def index(doc: int, force: bool = False) -> None: ...

    assert index.enqueue(1).refresh().key == "doc-1"
    assert not index.enqueue(doc=1).created
    assert index.enqueue(2).created
    assert index.enqueue(1, force=True).created


def test_a_key_that_cannot_be_made_of_the_arguments(queue_place: Any) -> None:
    @queue_place.app.task(key=lambda doc: doc["id"])
    def index(doc: dict) -> None: ...

    with pytest.raises(InvalidArguments, match=r"index\(\): no key can be made of these arguments: KeyError\('id'\)"):
        index.enqueue({"name": "x"})
    assert queue_place.app.jobs.list() == []


def test_a_key_that_is_no_text_is_refused(queue_place: Any) -> None:
    @queue_place.app.task(key=lambda doc: doc)
    def index(doc: int) -> None: ...

    with pytest.raises(InvalidOption, match="key must be a text"):
        index.enqueue(1)


def test_handles_of_one_job_are_equal(queue_place: Any) -> None:
    handle = tasks(queue_place.app).add.enqueue(1)
    twin = queue_place.app.jobs.handle(handle.id)
    assert twin == handle
    assert len({twin, handle}) == 1
    assert handle != queue_place.app.jobs.handle(handle.id[::-1])
    assert handle != handle.id
    assert handle.id in repr(handle)


def test_a_plain_call_runs_here(place: Any) -> None:
    declared = tasks(place.app)
    assert declared.add(1, b=4) == 5
    assert asyncio.run(declared.aadd(1)) == 2
    with pytest.raises(LookupError, match="here"):
        declared.fail("here")
    assert place.app.jobs.count() == {}


def test_a_plain_call_gets_a_context_of_its_own(place: Any) -> None:
    @place.app.task(name="told")
    def told(ctx: Context, n: int) -> tuple[str, int, bool]:
        ctx.progress(1, 2, "half")
        ctx.save({"n": n})
        return ctx.task, ctx.checkpoint["n"], ctx.app is place.app

    assert told(5) == ("told", 5, True)
    own = Context(job_id="mine", task="other")
    assert told.__wrapped__(own, 5)[0] == "other"
    assert told(own, 5)[0] == "other"


def test_a_closed_app_takes_no_more(place: Any) -> None:
    add = tasks(place.app).add
    place.app.close()
    for use in (lambda: add.enqueue(1), place.app.jobs.count, place.app.queues.list):
        with pytest.raises(AppClosed, match="this app was closed"):
            use()


@pytest.mark.asyncio
async def test_a_closed_app_takes_no_more_async_calls(place: Any) -> None:
    add = tasks(place.app).add
    await place.app.aclose()
    with pytest.raises(AppClosed):
        await add.aenqueue(1)


def test_closing_twice_is_closing(place: Any) -> None:
    tasks(place.app).add.enqueue(1)
    place.app.close()
    place.app.close()


def test_concurrent_enqueues_share_transactions(queue_place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = queue_place.app.engine.connection.driver
    plans: list[str] = []
    original = driver.arun

    async def counted(plan: Any) -> Any:
        plans.append(plan.name)
        await asyncio.sleep(0)
        return await original(plan)

    monkeypatch.setattr(driver, "arun", counted)
    add = tasks(queue_place.app).add

    async def enqueue() -> list[JobHandle[Any]]:
        return await asyncio.gather(*(add.aenqueue(n) for n in range(500)))

    handles = asyncio.run(enqueue())
    assert [handle.refresh().args for handle in handles[::99]] == [[n] for n in range(0, 500, 99)]
    assert plans.count("insert") <= 3
    assert plans.count("pending") == 1  # the first one asks whether there are tables, for all


def test_concurrent_enqueues_are_all_told_that_the_store_is_down(
    queue_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = queue_place.app.engine.connection.driver
    asked: list[str] = []
    original = driver.arun

    async def down(plan: Any) -> Any:
        asked.append(plan.name)
        await asyncio.sleep(0)
        raise StoreUnavailable("it is down")

    add = tasks(queue_place.app).add

    async def enqueue() -> list[Any]:
        return await asyncio.gather(*(add.aenqueue(n) for n in range(20)), return_exceptions=True)

    monkeypatch.setattr(driver, "arun", down)
    assert [str(error) for error in asyncio.run(enqueue())] == ["it is down"] * 20
    assert asked == ["pending"]
    monkeypatch.setattr(driver, "arun", original)
    assert len({handle.id for handle in asyncio.run(enqueue())}) == 20  # and they ask again


def test_arguments_are_never_changed_by_a_run(place: Any) -> None:
    @place.app.task(max_attempts=2, backoff=0)
    def spoil(items: list[Any], table: dict[str, Any]) -> None:
        items.append("more")
        table.clear()
        raise ValueError("spoilt")

    place.work()
    handle = spoil.enqueue([1, 2], table={"a": [1]})
    with pytest.raises(JobFailed):
        handle.result(WAIT)
    job = handle.refresh()
    assert (job.args, job.kwargs, job.attempt) == ([[1, 2]], {"table": {"a": [1]}}, 2)
