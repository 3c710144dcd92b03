"""Starting and ending: workers, the background of a process, and what stays behind (nothing)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from stoker import AppClosed, ConfigError, Stoker
from stoker.events import Event, JobsDropped

WAIT = 30


def test_closing_right_after_the_first_job_ends(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        app = Stoker(mode="async")
        app.task(name="quick")(lambda: None).enqueue()
        closing = threading.Thread(target=app.close, daemon=True)
        closing.start()
        closing.join(WAIT)
        assert not closing.is_alive(), "close() hangs"


def test_closing_gives_running_jobs_the_grace(make_place: Any) -> None:
    place = make_place("async")
    begun, go_on = threading.Event(), threading.Event()

    @place.app.task(name="slow")
    def slow() -> None:
        begun.set()
        assert go_on.wait(WAIT)

    handle = slow.enqueue()
    assert begun.wait(WAIT)
    closing = threading.Thread(target=place.app.close)
    closing.start()
    go_on.set()
    closing.join(WAIT)
    assert not closing.is_alive()
    with pytest.raises(AppClosed):
        handle.refresh()


def test_what_ends_with_the_process_is_named(make_place: Any) -> None:
    place = make_place("async")
    seen: list[Event] = []
    place.app.subscribe(seen.append)

    @place.app.task(name="later")
    def later() -> None: ...

    handle = later.using(delay=3600).enqueue()
    place.app.close()
    assert [event.ids for event in seen if isinstance(event, JobsDropped)] == [[handle.id]]


@pytest.mark.asyncio
async def test_a_cancelled_worker_gives_its_jobs_back(queue_place: Any) -> None:
    begun = asyncio.Event()

    @queue_place.app.task(name="endless")
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    @queue_place.app.task(name="quick")
    async def quick() -> None: ...

    handle = await endless.aenqueue()
    await queue_place.app.aenqueue_many([quick.call() for _ in range(500)])
    serving = asyncio.ensure_future(queue_place.app.worker(concurrency=20).serve())
    await asyncio.wait_for(begun.wait(), WAIT)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(serving, WAIT)
    job = await handle.arefresh()
    assert (job.state, job.attempt, job.crashes) == ("queued", 0, 0)
    assert await queue_place.app.workers.alist() == []
    assert (await queue_place.app.jobs.acount(task="quick")).keys() <= {"completed", "queued"}


@pytest.mark.asyncio
async def test_a_worker_cancelled_in_the_middle_of_an_exchange_ends(tmp_path: Any) -> None:
    async with Stoker(f"sqlite:///{tmp_path}/jobs.db") as app:
        app.task(name="quick")(lambda: None)
        worker = app.worker()
        driver = app.engine.connection.driver
        inside, original = asyncio.Event(), driver.arun

        async def slowly(plan: Any) -> Any:
            if plan.name == "exchange" and not inside.is_set():
                inside.set()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return await original(plan)

        driver.arun = slowly  # type: ignore[method-assign]
        serving = asyncio.ensure_future(worker.serve())
        await asyncio.wait_for(inside.wait(), WAIT)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(serving, WAIT)


def test_a_stopped_worker_is_forgotten(queue_place: Any) -> None:
    queue_place.app.task(name="quick")(lambda: None)
    serving = queue_place.work()
    [worker] = queue_place.app.workers.list()
    assert worker.id == serving.worker.id
    assert worker.concurrency == 50
    serving.stop()
    assert queue_place.app.workers.list() == []


def test_a_worker_that_drains_ends_when_nothing_is_due(queue_place: Any) -> None:
    double = queue_place.app.task(name="double")(lambda n: n * 2)
    handles = queue_place.app.enqueue_many([double.call(n) for n in range(300)])
    later = double.using(delay=3600).enqueue(1)
    queue_place.drain(concurrency=7)
    assert [handle.refresh().result for handle in handles] == [n * 2 for n in range(300)]
    assert later.refresh().state == "scheduled"


@pytest.mark.asyncio
async def test_a_lifespan_runs_a_worker(place: Any) -> None:
    @place.app.task(name="double")
    async def double(n: int) -> int:
        return n * 2

    async with place.app.lifespan(concurrency=3)(None):
        handle = await double.aenqueue(4)
        assert await handle == 8
        if place.mode == "queue":
            [worker] = await place.app.workers.alist()
            assert worker.concurrency == 3
    if place.mode == "queue":
        assert await place.app.workers.alist() == []


@pytest.mark.asyncio
async def test_a_lifespan_says_why_its_worker_cannot_start(queue_place: Any) -> None:
    @queue_place.app.on_start
    def refuse() -> None:
        raise OSError("no camera")

    with pytest.raises(OSError, match="no camera"):
        async with queue_place.app.lifespan()(None):
            pass


def test_foreground_has_no_worker(make_place: Any) -> None:
    with pytest.raises(ConfigError, match="in mode 'foreground' enqueue runs the jobs itself"):
        make_place("foreground").app.worker()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queues": "mail"}, "queues takes names, or names with limits, not one text: write ['mail']"),
        ({"queues": []}, "queues is empty: name some, or leave it out to serve all"),
        ({"queues": {}}, "queues is empty"),
        ({"queues": {"mail": 0}}, "the limit of queue 'mail' must be 1 or more, or None, not 0"),
        ({"tags": "gpu"}, "tags takes a list of texts, not one text: write ['gpu']"),
        ({"concurrency": 0}, "concurrency must be 1 or more, not 0"),
        ({"lease": 0}, "lease must be at least 1 second, not 0"),
        ({"grace": -1}, "grace must be zero or more seconds, not -1"),
    ],
)
def test_a_wrong_option_of_a_worker_is_told(memory_place: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        memory_place.app.worker(**options)
    assert words in str(caught.value)
