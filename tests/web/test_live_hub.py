"""One watcher for all who follow jobs: what it asks, what they hear."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import places
from stoker import Stoker
from stoker.errors import StoreUnavailable
from stoker.job import State, Verdict
from stoker.web import hub as hub_module
from stoker.web.follower import Follower, Sign, Watched
from stoker.web.hub import Hub
from stoker.web.news import News
from web.live import PATIENCE, Puppets, Toll

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=["memory", "sqlite-normal", "postgres", "redis"])
def puppets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Puppets]:
    with places.fresh(request.param, tmp_path) as url:
        app = Stoker(url, mode="queue")
        yield Puppets(app)
        app.close()


@pytest.fixture
def hub(puppets: Puppets) -> Hub:
    return Hub(puppets.app.engine)


@pytest.fixture
def toll(puppets: Puppets) -> Toll:
    return Toll(puppets.app.engine)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places in line are looked at with every question."""
    monkeypatch.setattr("stoker.web.hub._SLOW", 0.0)


def record(puppets: Puppets, id: str) -> Any:
    return puppets.app.jobs.get(id)


async def hear(follower: Follower) -> News | Sign:
    """What comes next, which must come."""
    found = await follower.next(PATIENCE)
    assert found is not Sign.QUIET, "it heard nothing"
    return found


async def news(follower: Follower) -> News:
    found = await hear(follower)
    assert isinstance(found, News)
    return found


async def test_many_followers_of_many_jobs_cost_one_question_a_tick(puppets, hub, toll):
    ids = [puppets.begun() for _ in range(20)]
    toll.shut()
    with ExitStack() as stack:
        followers = [stack.enter_context(hub.follow(record(puppets, id))) for id in ids for _ in range(25)]
        for follower in followers:
            assert (await news(follower)).job.progress is None
        for id in ids:
            puppets.progress(id, 0.5)
        await toll.let()
        told = await asyncio.gather(*(news(follower) for follower in followers))
        assert {one.job.id for one in told} == set(ids)
        assert {one.job.progress for one in told} == {0.5}
        assert toll.asked == ["changes"]


async def test_news_are_put_into_words_once_for_an_audience(puppets, hub, toll):
    id = puppets.begun()
    with ExitStack() as stack:
        followers = [stack.enter_context(hub.follow(record(puppets, id))) for _ in range(50)]
        told = [await news(follower) for follower in followers]
        made: list[str] = []

        def encode(one: News) -> str:
            made.append(one.id)
            return f"{one.job.id}"

        assert {one.encoded("anna", encode) for one in told} == {id}
        assert len(made) == 1
        told[0].encoded("berta", encode)
        assert len(made) == 2


async def test_who_is_slow_gets_the_latest_only_and_never_misses_the_last(puppets, hub, toll):
    id = puppets.begun()
    toll.shut()
    with hub.follow(record(puppets, id)) as slow, hub.follow(record(puppets, id)) as quick:
        await news(quick)
        for step in range(1, 5):
            puppets.progress(id, step / 10)
            await toll.let()
            assert (await news(quick)).job.progress == step / 10
        assert (await news(slow)).job.progress == 0.4
        assert await slow.next(0) is Sign.QUIET
        puppets.progress(id, 1.0)
        await toll.let()
        puppets.end(id)
        await toll.let()
        last = await news(slow)
        assert (last.job.state, last.job.progress) == (State.COMPLETED, 1.0)


async def test_nothing_of_a_stream_is_left_when_it_has_ended(puppets, hub):
    id = puppets.begun()
    with hub.follow(record(puppets, id)) as follower:
        [watcher] = hub._watchers.values()
        await news(follower)
    await asyncio.wait_for(watcher.task, PATIENCE)
    assert not hub._watchers
    assert not watcher._watched
    del follower
    gc.collect()
    # Of this job: those of a test that failed before live on in its traceback.
    found = [one for one in gc.get_objects() if type(one) in (Follower, Watched)]  # asking lazy objects more wakes them
    watched = [one.watched if isinstance(one, Follower) else one for one in found]
    assert not [one for one in watched if one.news.job.id == id]


async def test_a_job_that_has_ended_is_asked_for_no_more(puppets, hub, toll):
    id = puppets.begun()
    toll.shut()
    with hub.follow(record(puppets, id)) as follower:
        [watcher] = hub._watchers.values()
        await news(follower)
        puppets.end(id)
        await toll.let()
        assert (await news(follower)).job.finished
        await asyncio.wait_for(watcher.task, PATIENCE)
        assert toll.asked == ["changes"]


async def test_what_was_seen_is_not_told_again(puppets, hub):
    id = puppets.begun()
    with hub.follow(record(puppets, id)) as first, hub.follow(record(puppets, id), (await news(first)).id) as again:
        assert await again.next(0) is Sign.QUIET
        puppets.progress(id, 0.5)
        assert (await news(again)).job.progress == 0.5


async def test_a_deleted_job_is_gone(puppets, hub):
    id = puppets.enqueue()
    with hub.follow(record(puppets, id)) as follower:
        await news(follower)
        assert puppets.app.jobs.delete(id) == 1
        while isinstance(found := await hear(follower), News):  # its place in line may come before
            assert found.position == 0
        assert found is Sign.GONE


async def test_a_store_that_is_down_is_told_of_once_and_what_changed_meanwhile_comes_after(puppets, hub, toll):
    id = puppets.begun()
    with hub.follow(record(puppets, id)) as follower:
        await news(follower)
        toll.error = StoreUnavailable("no route to it")
        assert await hear(follower) is Sign.TROUBLE
        puppets.progress(id, 0.7)
        while toll.failed < 3:
            assert await follower.next(0.05) is Sign.QUIET
        toll.error = None
        assert (await news(follower)).job.progress == 0.7


@pytest.mark.parametrize(
    ("error", "traced"), [(StoreUnavailable("no route to it"), False), (ZeroDivisionError("a bug"), True)], ids=repr
)
async def test_the_log_says_where_a_mistake_of_ours_was_raised(puppets, hub, toll, caplog, error, traced):
    with hub.follow(record(puppets, puppets.begun())) as follower:
        await news(follower)
        toll.error = error
        assert await hear(follower) is Sign.TROUBLE
        while toll.failed < 3:
            assert await follower.next(0.05) is Sign.QUIET
    [said] = [one for one in caplog.records if one.name == "stoker.web"]
    assert bool(said.exc_info) is traced
    assert traced or "no route to it" in said.getMessage()


async def test_who_comes_while_the_store_comes_back_does_not_wait_for_the_next_try(puppets, hub, toll, monkeypatch):
    monkeypatch.setattr("stoker.web.hub._FIRST_RETRY", 3600.0)
    monkeypatch.setattr("stoker.web.hub._LAST_RETRY", 3600.0)
    id = puppets.begun()
    with hub.follow(record(puppets, id)) as follower:
        await news(follower)
        toll.error = StoreUnavailable("no route to it")
        assert await hear(follower) is Sign.TROUBLE
        toll.error = None
        puppets.progress(id, 0.7)
        with hub.follow(record(puppets, puppets.begun())):
            assert (await news(follower)).job.progress == 0.7


async def test_an_answer_that_is_older_than_what_somebody_brought_is_dropped(puppets, hub, toll):
    id = puppets.begun()
    toll.shut()
    real = toll._real
    held, release = asyncio.Event(), asyncio.Event()

    async def held_back(plan: Any) -> Any:
        answer = await real(plan)
        if plan.name == "changes" and not held.is_set():
            held.set()
            await release.wait()
        return answer

    toll._real = held_back
    with hub.follow(record(puppets, id)) as follower:
        await news(follower)
        puppets.progress(id, 0.1)
        letting = asyncio.ensure_future(toll.let())
        await asyncio.wait_for(held.wait(), PATIENCE)
        puppets.progress(id, 0.9)
        with hub.follow(record(puppets, id)):
            assert (await news(follower)).job.progress == 0.9
            release.set()
            await letting
            assert await follower.next(0) is Sign.QUIET
            puppets.progress(id, 1.0)
            await toll.let()
            assert (await news(follower)).job.progress == 1.0


async def test_the_place_in_line_comes_with_one_question_a_queue(puppets, hub, toll, hasty):
    first, second, third = (puppets.enqueue() for _ in range(3))
    other = puppets.enqueue(queue="other")
    toll.shut()
    with ExitStack() as stack:
        ids = [first, second, third, other] * 5
        followers = [stack.enter_context(hub.follow(record(puppets, id))) for id in ids]
        for follower in followers:
            assert (await news(follower)).position is None
        await toll.let()
        told = [await news(follower) for follower in followers]
        assert [one.position for one in told] == [0, 1, 2, 0] * 5
        assert [one.id for one in told[:3]] == [f"{told[0].id.partition('.')[0]}.0", told[1].id, told[2].id]
        assert sorted(toll.asked) == ["changes", "front", "front"]
        assert puppets.claim(1) == [first]
        await toll.let()
        assert (await news(followers[2])).position == 1
        begun = await news(followers[0])
        assert (begun.job.state, begun.position) == (State.PROCESSING, None)


async def test_lines_are_looked_at_much_less_often_than_records(puppets, hub, toll, monkeypatch):
    assert hub_module._SLOW >= 10 * hub_module._SHORTEST
    monkeypatch.setattr(hub_module, "_SLOW", 3600.0)  # on a busy machine three questions may take longer than it is
    id = puppets.enqueue()
    toll.shut()
    with hub.follow(record(puppets, id)):
        await toll.let(3)
        assert toll.asked.count("front") == 1


async def test_a_known_place_is_not_told_again_to_who_comes_back(puppets, hub, toll, hasty):
    ids = [puppets.enqueue() for _ in range(3)]
    toll.shut()
    with hub.follow(record(puppets, ids[2])) as follower:
        await news(follower)
        await toll.let()
        seen = (await news(follower)).id
        [watcher] = hub._watchers.values()
    await asyncio.wait_for(watcher.task, PATIENCE)
    with hub.follow(record(puppets, ids[2]), seen) as again:
        assert await again.next(0) is Sign.QUIET
        await toll.let()
        assert await again.next(0) is Sign.QUIET
        puppets.claim(1)
        await toll.let()
        assert (await news(again)).position == 1


async def test_a_job_that_comes_due_is_told_to_be_queued(puppets, hub):
    id = puppets.enqueue(delay=0.3)
    with hub.follow(record(puppets, id)) as follower:
        assert (await news(follower)).job.state is State.SCHEDULED
        found: News | Sign = Sign.QUIET
        while found is Sign.QUIET:
            puppets.claim(0)  # any worker queues what is due
            found = await follower.next(0.1)
        assert isinstance(found, News)
        assert found.job.state is State.QUEUED


async def test_a_retried_job_is_followed_on(puppets, hub):
    id = puppets.begun(max_attempts=2)
    with hub.follow(record(puppets, id)) as follower:
        await news(follower)
        puppets.end(id, verdict=Verdict.RETRY, delay=0)
        while (told := await news(follower)).job.state is not State.QUEUED:
            pass
        puppets.claim()
        puppets.end(id)
        while not told.job.finished:
            told = await news(follower)
        assert told.job.state is State.COMPLETED


async def test_to_close_ends_all_and_lets_nobody_in(puppets, hub):
    id = puppets.begun()
    with hub.follow(record(puppets, id)) as follower:
        await news(follower)
        [watcher] = hub._watchers.values()
        await asyncio.to_thread(hub.close)
        assert await hear(follower) is Sign.CLOSED
        await asyncio.wait_for(watcher.task, PATIENCE)
    with hub.follow(record(puppets, id)) as late:
        assert (await news(late)).job.id == id
        assert await hear(late) is Sign.CLOSED
    assert not hub._watchers


async def test_a_closed_app_ends_all(puppets, hub):
    with hub.follow(record(puppets, puppets.begun())) as follower:
        await news(follower)
        puppets.app.close()
        assert await hear(follower) is Sign.CLOSED
