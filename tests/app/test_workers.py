"""What a person tells a worker: be quiet, wake up, stop. And what workers tell: how many attempts ended how."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest

from stoker import Cancel, JobCancelled, JobFailed, Snooze, WorkerNotFound, events
from stoker.clock import SECOND
from stoker.store import Command

WAIT = 30


class Ear:
    """Hears events, and can wait for one of a kind."""

    def __init__(self, app: Any) -> None:
        self._heard = threading.Condition()
        self._kinds: Counter[type] = Counter()
        app.subscribe(self._hear)

    def _hear(self, event: Any) -> None:
        with self._heard:
            self._kinds[type(event)] += 1
            self._heard.notify_all()

    def wait(self, kind: type, times: int = 1) -> None:
        with self._heard:
            assert self._heard.wait_for(lambda: self._kinds[kind] >= times, WAIT), f"no {kind.__name__}"

    def count(self, kind: type) -> int:
        return self._kinds[kind]


@pytest.fixture
def app(queue_place: Any) -> Any:
    return queue_place.app


@pytest.fixture
def ear(app: Any) -> Ear:
    return Ear(app)


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_quiet_worker_lets_its_jobs_end_and_leaves_the_rest_to_others(queue_place: Any, app: Any, ear: Ear) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @app.task
    def wait() -> None:
        begun.set()
        assert go_on.wait(WAIT)

    @app.task
    def quick() -> None:
        pass

    quiet = queue_place.worker().worker
    running = wait.enqueue()
    assert begun.wait(WAIT)
    app.workers.quiet(quiet.id)
    ear.wait(events.WorkerQuieted)
    [known] = app.workers.list()
    assert (known.id, known.command) == (quiet.id, Command.QUIET)
    other = queue_place.worker().worker
    for _ in range(20):
        job = quick.enqueue()
        job.result(WAIT)
        assert job.refresh().worker == other.id
    go_on.set()
    running.result(WAIT)
    assert running.refresh().worker == quiet.id
    assert quiet.healthy


def test_a_worker_that_is_woken_claims_again(queue_place: Any, app: Any, ear: Ear) -> None:
    @app.task
    def quick() -> None:
        pass

    worker = queue_place.worker().worker
    for times in (1, 2):
        app.workers.quiet(worker.id)
        ear.wait(events.WorkerQuieted, times)
        job = quick.enqueue()
        app.workers.wake(worker.id)
        ear.wait(events.WorkerWoken, times)
        job.result(WAIT)
    assert app.workers.list()[0].command is None
    app.workers.quiet(worker.id)
    ear.wait(events.WorkerQuieted, 3)
    app.workers.quiet(worker.id)
    app.workers.wake(worker.id)
    ear.wait(events.WorkerWoken, 3)
    assert ear.count(events.WorkerQuieted) == 3, "it is told once what does not change"


def test_other_orders_neither_wake_nor_quieten(queue_place: Any, app: Any, ear: Ear) -> None:
    begun = threading.Event()

    @app.task
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    worker = queue_place.worker().worker
    for quiet in (False, True):
        begun.clear()
        job = endless.enqueue()
        assert begun.wait(WAIT)
        if quiet:
            app.workers.quiet(worker.id)
            ear.wait(events.WorkerQuieted)
        app.jobs.cancel(job.id)
        with pytest.raises(JobCancelled):
            job.result(WAIT)
    assert (ear.count(events.WorkerQuieted), ear.count(events.WorkerWoken)) == (1, 0)


def test_a_worker_that_is_told_to_stop_gives_its_grace_and_ends(queue_place: Any, app: Any, ear: Ear) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @app.task
    def wait() -> None:
        begun.set()
        assert go_on.wait(WAIT)

    serving = queue_place.worker(grace=3600)
    running = wait.enqueue()
    assert begun.wait(WAIT)
    app.workers.stop(serving.worker.id)
    ear.wait(events.WorkerStopping)
    app.workers.wake(serving.worker.id)  # too late
    left = wait.enqueue()
    go_on.set()
    serving.join()
    assert (running.refresh().state, left.refresh().state) == ("completed", "queued")
    assert app.workers.list() == []
    assert (ear.count(events.WorkerStopping), ear.count(events.WorkerWoken)) == (1, 0)


def test_a_job_that_outlasts_the_grace_goes_back(queue_place: Any, app: Any) -> None:
    begun = threading.Event()

    @app.task
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    serving = queue_place.worker(grace=0)
    job = endless.enqueue()
    assert begun.wait(WAIT)
    app.workers.stop(serving.worker.id)
    serving.join()
    assert (job.refresh().state, job.refresh().attempt) == ("queued", 0)


def test_a_worker_can_be_told_from_async_code(queue_place: Any, app: Any, ear: Ear) -> None:
    serving = queue_place.worker()
    id = serving.worker.id

    async def tell() -> None:
        await app.workers.aquiet(id)
        await asyncio.to_thread(ear.wait, events.WorkerQuieted)
        await app.workers.awake(id)
        await asyncio.to_thread(ear.wait, events.WorkerWoken)
        await app.workers.astop(id)

    asyncio.run(tell())
    serving.join()


@pytest.mark.parametrize("verb", ["quiet", "wake", "stop"])
def test_who_is_not_alive_cannot_be_told(queue_place: Any, app: Any, verb: str) -> None:
    with pytest.raises(WorkerNotFound, match="no living worker has the id 'nobody'"):
        getattr(app.workers, verb)("nobody")
    serving = queue_place.worker()
    id = serving.worker.id
    serving.stop()
    with pytest.raises(WorkerNotFound) as caught:
        asyncio.run(getattr(app.workers, f"a{verb}")(id))
    assert caught.value.id == id
    assert isinstance(caught.value, LookupError)


# --- tallies ----------------------------------------------------------------------------------------------------------


def test_workers_tell_how_attempts_ended(queue_place: Any, app: Any) -> None:
    snoozed = []

    @app.task(max_attempts=2, backoff=0)
    async def end(how: str) -> None:
        if how == "failure":
            raise ValueError
        if how == "cancel":
            raise Cancel
        if how == "snooze" and not snoozed:
            snoozed.append(how)
            raise Snooze(0)

    queue_place.worker()
    mail = end.using(queue="mail")
    handles = [end.enqueue("") for _ in range(20)] + [mail.enqueue(""), end.enqueue("snooze")]
    for handle in handles:
        handle.result(WAIT)
    for error, handle in [(JobFailed, mail.enqueue("failure")), (JobCancelled, mail.enqueue("cancel"))]:
        with pytest.raises(error):
            handle.result(WAIT)
    queue_place.close_workers()
    sums: Counter[str] = Counter()
    for tally in app.engine.run(app.engine.connection.store.tallies.read(3600 * SECOND)):
        for name in ("completed", "failed", "retried", "cancelled"):
            sums[f"{tally.queue} {name}"] += getattr(tally, name)
    assert +sums == {
        "default completed": 21,
        "mail completed": 1,
        "mail failed": 1,
        "mail retried": 1,
        "mail cancelled": 1,
    }
