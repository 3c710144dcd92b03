"""Limits, turns and guards as an app declares them. That they hold at every instant over processes is in `races`."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stoker import Context, InvalidArguments, InvalidOption, State, Stoker, TaskError
from stoker.store import Fair, QueueLimit

WAIT = 60


class Gauge:
    """How many run at once, by key: the most there ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[Any, int] = {}
        self.most: dict[Any, int] = {}

    def __call__(self, key: Any, work: Any) -> None:
        with self._lock:
            self._now[key] = self._now.get(key, 0) + 1
            self.most[key] = max(self.most.get(key, 0), self._now[key])
        work()
        with self._lock:
            self._now[key] -= 1


def test_a_tasks_concurrency_holds(running_place: Any) -> None:
    app, gauge = running_place.app, Gauge()
    pause = threading.Event()

    @app.task(name="slow", concurrency=2)
    def slow(number: int) -> int:
        gauge("all", lambda: pause.wait(0.01))
        return number

    handles = app.enqueue_many([slow.call(n) for n in range(20)])
    running_place.work()
    assert [handle.result(WAIT) for handle in handles] == list(range(20))
    assert gauge.most["all"] <= 2


def test_each_value_of_the_argument_has_a_limit_of_its_own(running_place: Any) -> None:
    app, gauge = running_place.app, Gauge()
    pause = threading.Event()

    @app.task(name="sync", concurrency=1, by="account")
    def sync(account: str, part: int = 0) -> None:
        gauge(account, lambda: pause.wait(0.005))

    handles = app.enqueue_many([sync.call(f"a{n % 4}", part=n) for n in range(24)])
    running_place.work()
    for handle in handles:
        handle.result(WAIT)
    assert gauge.most == {"a0": 1, "a1": 1, "a2": 1, "a3": 1}


def test_jobs_over_their_limit_do_not_block_those_behind(queue_place: Any) -> None:
    app = queue_place.app
    order: list[str] = []
    blocked = threading.Event()

    @app.task(name="one", concurrency=1)
    def one(number: int) -> None:
        if not number:
            assert blocked.wait(WAIT)

    @app.task(name="other")
    def other() -> None:
        order.append("other")

    limited = app.enqueue_many([one.call(n) for n in range(200)])
    free = other.enqueue()
    queue_place.worker(concurrency=3)
    free.result(WAIT)
    assert order == ["other"]
    blocked.set()
    limited[-1].result(WAIT)


def test_a_rate_lets_its_bucket_through_at_once_and_no_more(queue_place: Any) -> None:
    app = queue_place.app

    @app.task(name="mail", rate="3/h", by="user")
    def mail(user: str) -> None: ...

    app.enqueue_many([mail.call("u1") for _ in range(5)] + [mail.call("u2") for _ in range(2)])
    queue_place.drain()
    assert app.jobs.count() == {"completed": 5, "queued": 2}


def test_a_rate_that_refills_is_waited_for(running_place: Any) -> None:
    app = running_place.app

    @app.task(name="mail", rate="20/s")
    async def mail(number: int) -> int:
        return number

    handles = app.enqueue_many([mail.call(n) for n in range(30)])
    running_place.work()
    assert [handle.result(WAIT) for handle in handles] == list(range(30))


def test_debounce_runs_once_with_the_last_arguments(running_place: Any) -> None:
    app = running_place.app
    seen: list[tuple[str, str]] = []

    @app.task(name="index", debounce=0.5, by="doc")
    def index(doc: str, text: str) -> None:
        seen.append((doc, text))

    handles = [index.enqueue("d1", text) for text in ("a", "b", "c")]
    other = index.enqueue("d2", "z")
    assert [handle.created for handle in handles] == [True, False, False]
    assert len({handle.id for handle in handles}) == 1
    running_place.work()
    handles[0].result(WAIT)
    other.result(WAIT)
    assert sorted(seen) == [("d1", "c"), ("d2", "z")]


def test_throttle_runs_the_first(running_place: Any) -> None:
    app = running_place.app
    seen: list[int] = []

    @app.task(name="refresh", throttle=3600)
    def refresh(number: int) -> None:
        seen.append(number)

    handles = [refresh.enqueue(number) for number in range(3)]
    running_place.work()
    handles[-1].result(WAIT)
    assert seen == [0]
    assert not refresh.enqueue(7).created


def test_a_queues_limit_is_set_seen_and_taken_away(queue_place: Any) -> None:
    app: Stoker = queue_place.app
    app.queues.limit("mail", concurrency=5, rate="100/m", fair="owner")
    [queue] = app.queues.list()
    assert queue.limit == QueueLimit(5, 100, 60_000_000, Fair.OWNER)
    app.queues.limit("mail")
    [queue] = app.queues.list()
    assert queue.limit == QueueLimit()


def test_a_small_tenant_need_not_wait_for_a_large_one(queue_place: Any) -> None:
    app = queue_place.app
    order: list[str] = []

    @app.task(name="report", queue="reports")
    def report(ctx: Context) -> None:
        order.append(ctx.owner or "")

    app.queues.limit("reports", fair="owner")
    app.enqueue_many([report.using(owner="large").call() for _ in range(300)])
    app.enqueue_many([report.using(owner="small").call() for _ in range(3)])
    queue_place.drain()
    assert len(order) == 303
    assert max(index for index, owner in enumerate(order) if owner == "small") <= 6


def test_turns_between_the_values_of_an_argument(queue_place: Any) -> None:
    app = queue_place.app
    order: list[str] = []

    @app.task(name="report", queue="reports", by="account")
    def report(account: str) -> None:
        order.append(account)

    app.queues.limit("reports", fair="account")
    app.enqueue_many([report.call("a") for _ in range(20)])
    report.enqueue("b")
    queue_place.drain()
    assert order.index("b") <= 1


def test_a_pause_outlives_the_app(queue_place: Any) -> None:
    app = queue_place.app

    @app.task(name="quick")
    def quick() -> None: ...

    app.queues.pause("default")
    handle = quick.enqueue()
    with Stoker(queue_place.url) if app.engine.connection.store.traits.shared else app as again:
        again.task(name="quick")(quick.task.fn) if again is not app else None
        assert again.queues.list()[0].paused
    if again is not app:
        queue_place.drain()
        assert handle.refresh().state is State.QUEUED
        app.queues.resume("default")
        queue_place.drain()
        assert handle.refresh().state is State.COMPLETED


def test_mistakes_are_named(memory_place: Any) -> None:
    app = memory_place.app

    def work(account: str, ctx: Context) -> None: ...

    with pytest.raises(TaskError, match="by='acount' is not one of its parameters; these are account"):
        app.task(concurrency=1, by="acount")(work)
    with pytest.raises(InvalidOption, match="rate must be like '100/m'"):
        app.task(rate="100 per minute")
    with pytest.raises(InvalidOption, match="rate must be like '100/m'"):
        app.task(rate="0/m")
    with pytest.raises(InvalidOption, match="concurrency must be a whole number from 1"):
        app.task(concurrency=0)
    with pytest.raises(InvalidOption, match="debounce must be more than zero seconds"):
        app.task(debounce=0)
    with pytest.raises(InvalidOption, match="either debounce or throttle"):
        app.task(debounce=1, throttle=1)
    with pytest.raises(InvalidOption, match="either throttle or key"):
        app.task(throttle=1, key="k")
    with pytest.raises(
        InvalidOption, match="fair must be 'owner' or an argument that a task of this app names with by="
    ):
        app.queues.limit("mail", fair="account")
    task = app.task(name="late", debounce=5, by="account")(work)
    with pytest.raises(InvalidOption, match="either debounce or a delay"):
        task.using(delay=5)
    with pytest.raises(InvalidArguments, match="missing a required argument"):
        task.enqueue()
    assert app.jobs.count() == {}
