"""Which worker takes which job: by queue, by tag, by the task's name, and within limits."""

from __future__ import annotations

import threading
from typing import Any

import pytest

WAIT = 30


class Gauge:
    """How many run at once, of what."""

    def __init__(self, parties: int) -> None:
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(parties)
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def pass_through(self, name: str) -> None:
        with self._lock:
            self.now[name] = self.now.get(name, 0) + 1
            self.most[name] = max(self.most.get(name, 0), self.now[name])
        self._barrier.wait(WAIT)
        with self._lock:
            self.now[name] -= 1


@pytest.fixture
def note(queue_place: Any) -> Any:
    return queue_place.app.task(name="note")(lambda n=0: n)


def states(place: Any, handles: list[Any]) -> list[str]:
    return [str(handle.refresh().state) for handle in handles]


def test_a_worker_serves_its_queues_only(queue_place: Any, note: Any) -> None:
    handles = [note.using(queue=name).enqueue() for name in ("mail", "images", "default")]
    queue_place.drain(queues=["mail", "default"])
    assert states(queue_place, handles) == ["completed", "queued", "completed"]


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({}, [True, True, True, True]),
        ({"tags": ["gpu"]}, [True, False, True, False]),
        ({"tags": ["gpu", "eu"]}, [True, True, True, False]),
        ({"tags": ["gpu"], "untagged": True}, [True, False, True, True]),
        ({"untagged": True}, [False, False, False, True]),
    ],
)
def test_a_worker_takes_jobs_by_their_tags(queue_place: Any, note: Any, options: Any, taken: list[bool]) -> None:
    handles = [note.using(tags=tags).enqueue() for tags in (["gpu"], ["eu"], ["gpu", "us"], [])]
    queue_place.drain(**options)
    assert [state == "completed" for state in states(queue_place, handles)] == taken


def test_a_queues_limit_holds_beside_the_workers(queue_place: Any) -> None:
    gauge = Gauge(3)

    @queue_place.app.task(name="pass")
    def through(name: str) -> None:
        gauge.pass_through(name)

    calls = [through.using(queue=name).call(name) for name in ["narrow"] * 4 + ["wide"] * 8]
    handles = queue_place.app.enqueue_many(calls)
    queue_place.worker(queues={"narrow": 1, "wide": 2}, concurrency=10)
    for handle in handles:
        handle.result(WAIT)
    assert gauge.most == {"narrow": 1, "wide": 2}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_concurrency_is_used_and_not_passed(queue_place: Any, concurrency: int) -> None:
    gauge = Gauge(concurrency)

    @queue_place.app.task(name="pass")
    def through() -> None:
        gauge.pass_through("all")

    handles = queue_place.app.enqueue_many([through.call() for _ in range(concurrency * 5)])
    queue_place.worker(concurrency=concurrency)
    for handle in handles:
        handle.result(WAIT)
    assert gauge.most == {"all": concurrency}


def test_a_task_that_nobody_knows_waits(make_place: Any) -> None:
    from stoker import Stoker

    place = make_place("queue-sqlite")
    known = place.app.task(name="known")(lambda: None)
    with Stoker(place.url) as other:
        unknown = other.task(name="unknown")(lambda: None).enqueue()
        handle = known.enqueue()
        place.drain()
        assert (unknown.refresh().state, unknown.refresh().attempt) == ("queued", 0)
        assert handle.refresh().state == "completed"


def test_two_workers_share_the_work(queue_place: Any) -> None:
    gauge = Gauge(2)

    @queue_place.app.task(name="pass")
    def through() -> None:
        gauge.pass_through("all")

    handles = queue_place.app.enqueue_many([through.call() for _ in range(10)])
    queue_place.worker(concurrency=1)
    queue_place.worker(concurrency=1)
    for handle in handles:
        handle.result(WAIT)
    assert len({handle.refresh().worker for handle in handles}) == 2
    assert [handle.refresh().attempt for handle in handles] == [1] * 10
