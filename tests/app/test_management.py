"""What a person on call does: look, cancel, retry, requeue, delete, purge, dump and load; queues and workers."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stoker import InvalidOption, JobFailed, JobNotFound, KeyTaken, Stoker, StokerError
from stoker.store import Filter

WAIT = 30


@pytest.fixture
def app(queue_place: Any) -> Any:
    return queue_place.app


@pytest.fixture
def task(app: Any) -> Any:
    @app.task(name="work")
    def work(n: int = 0) -> int:
        if n < 0:
            raise ValueError(n)
        return n

    return work


def test_a_list_is_newest_first_in_pages(app: Any, task: Any) -> None:
    ids = [task.enqueue(n).id for n in range(7)]
    assert [job.id for job in app.jobs.list(limit=3)] == ids[:-4:-1]
    assert [job.id for job in app.jobs.list(limit=3, before=ids[4])] == ids[3:0:-1]
    with pytest.raises(InvalidOption, match="limit must be 1 or more, not 0"):
        app.jobs.list(limit=0)


def test_filters_narrow(app: Any, task: Any) -> None:
    task.using(queue="slow", owner="u1", tags=["img"], key="k").enqueue(1)
    task.using(owner="u2", tags=["img", "big"], delay=60).enqueue(2)
    other = app.task(name="other")(lambda words: None)
    other.enqueue("Needle in hay")

    def found(**filters: Any) -> int:
        listed, counted = app.jobs.list(**filters), app.jobs.count(**filters)
        assert len(listed) == sum(counted.values())
        return len(listed)

    assert found() == 3
    assert (found(queue="slow"), found(owner="u2"), found(tag="img"), found(tag="big")) == (1, 1, 2, 1)
    assert (found(task="work"), found(key="k"), found(text="needle"), found(text="nothing")) == (2, 1, 1, 0)
    assert (found(state="queued"), found(state=["queued", "scheduled"]), found(state="failed")) == (2, 3, 0)
    assert (found(older_than=3600), found(older_than=timedelta(0))) == (0, 3)
    assert app.jobs.count(by="queue") == {"slow": 1, "default": 2}
    assert app.jobs.count(by="task", tag="img") == {"work": 2}
    assert app.jobs.count(by="owner") == {"u1": 1, "u2": 1}


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda jobs: jobs.list(status="queued"), "there is no filter 'status'; the filters are state, queue, task"),
        (lambda jobs: jobs.list(state="done"), "a state is one of waiting, scheduled, queued, processing, completed"),
        (lambda jobs: jobs.list(older_than=-1), "older_than must be zero or more seconds"),
        (lambda jobs: jobs.count(by="colour"), "jobs are counted by state, queue, task, owner, not by 'colour'"),
        (lambda jobs: jobs.cancel(), "cancel which jobs? give an id, ids or a filter (queue=, state=, …)"),
        (lambda jobs: jobs.delete(), "delete which jobs?"),
        (lambda jobs: jobs.retry(), "retry which jobs?"),
        (lambda jobs: jobs.purge(states=["queued", "failed"]), "purge only deletes finished jobs, not queued; see"),
        (lambda jobs: jobs.prioritise("x", priority=1000), "priority must be a whole number from -100 to 100"),
    ],
)
def test_a_wrong_question_is_told(app: Any, ask: Any, words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        ask(app.jobs)
    assert words in str(caught.value)


@pytest.mark.parametrize("verb", ["cancel", "retry", "requeue", "delete"])
def test_a_verb_on_an_unknown_id_is_an_error(app: Any, verb: str) -> None:
    with pytest.raises(JobNotFound):
        getattr(app.jobs, verb)("nope")
    assert getattr(app.jobs, verb)(["nope"]) == 0


def test_a_dry_run_counts_and_changes_nothing(queue_place: Any, app: Any, task: Any) -> None:
    task.enqueue(-1)
    queue_place.drain()
    queued = [task.enqueue(1).id, task.using(delay=60).enqueue(2).id]
    before = app.jobs.count()
    assert before == {"failed": 1, "queued": 1, "scheduled": 1}
    assert app.jobs.cancel(queued, dry_run=True) == 2
    assert app.jobs.cancel(task="work", dry_run=True) == 2
    assert app.jobs.retry(task="work", dry_run=True) == 1
    assert app.jobs.delete(task="work", dry_run=True) == 3
    assert app.jobs.purge(dry_run=True) == 1
    assert app.jobs.tidy(dry_run=True) == 0
    assert app.jobs.requeue(dry_run=True) == 0
    assert app.jobs.prioritise(queued, priority=5, dry_run=True) == 2
    assert app.jobs.count() == before


def test_many_are_changed_at_once(app: Any, task: Any) -> None:
    app.enqueue_many([task.call(n) for n in range(2500)])
    assert app.jobs.prioritise(task="work", priority=7) == 2500
    assert {job.priority for job in app.jobs.list()} == {7}
    assert app.jobs.cancel(state="queued", reason="too many") == 2500
    assert app.jobs.list(limit=1)[0].error == "too many"
    assert app.jobs.retry(state="cancelled") == 2500
    assert app.jobs.count() == {"queued": 2500}
    assert app.jobs.delete(Filter(queue="default")) == 2500
    assert app.jobs.count() == {}


def test_a_retried_job_has_one_attempt_more(queue_place: Any, app: Any, task: Any) -> None:
    handle = task.enqueue(-1)
    queue_place.drain()
    assert app.jobs.retry(handle.id) == 1
    assert handle.refresh().state == "queued"
    queue_place.drain()
    job = handle.refresh()
    assert (job.state, job.attempt, len(job.errors), job.args) == ("failed", 2, 2, [-1])
    assert app.jobs.retry(handle.id, dry_run=True) == 1


def test_a_completed_job_is_not_retried(queue_place: Any, app: Any, task: Any) -> None:
    handle = task.enqueue(1)
    queue_place.drain()
    assert app.jobs.retry(handle.id) == 0
    assert handle.refresh().state == "completed"


def test_a_retry_happens_once_however_fast_the_job_fails(queue_place: Any, app: Any, task: Any) -> None:
    queue_place.work()
    handle = task.enqueue(-1)
    with pytest.raises(JobFailed):
        handle.result(WAIT)
    for done in range(1, 6):
        assert app.jobs.retry(handle.id) == 1
        with pytest.raises(JobFailed):
            handle.result(WAIT)
        assert handle.refresh().attempt == done + 1


def test_a_retry_meets_its_own_keys_next_holder(queue_place: Any, app: Any, task: Any) -> None:
    first = task.using(key="k").enqueue(-1)
    queue_place.drain()
    second = task.using(key="k").enqueue(2)
    with pytest.raises(KeyTaken, match=rf"{first.id} cannot be retried: the unfinished job {second.id} has its key"):
        app.jobs.retry(first.id)
    assert app.jobs.retry(state="failed") == 0
    app.jobs.delete(second.id)
    assert app.jobs.retry(first.id) == 1


def test_purge_spares_the_unfinished_and_the_young(queue_place: Any, app: Any, task: Any) -> None:
    task.enqueue(1)
    task.enqueue(-1)
    queue_place.drain()
    task.enqueue(2)
    app.jobs.cancel(task.enqueue(3).id)
    assert app.jobs.purge(older_than=3600) == 0
    assert app.jobs.tidy() == 2
    assert app.jobs.count() == {"failed": 1, "queued": 1}
    assert app.jobs.purge(states=["completed"]) == 0
    assert app.jobs.purge() == 1
    assert app.jobs.count() == {"queued": 1}


def test_a_dump_can_be_loaded_elsewhere(queue_place: Any, app: Any, task: Any, tmp_path: Path) -> None:
    task.using(owner="u", tags=["a"], meta={"m": 1}, key="k").enqueue(-1)
    queue_place.drain()
    task.using(delay=3600, priority=3, timeout=5).enqueue(5)
    handle = task.enqueue(7)
    app.jobs.cancel(task.enqueue(8).id, reason="r")
    before = app.jobs.list()
    assert app.jobs.dump(tmp_path / "dump.jsonl") == 4
    assert app.jobs.load(tmp_path / "dump.jsonl") == 0
    with Stoker(f"sqlite:///{tmp_path}/other.db") as other:
        assert other.jobs.load(tmp_path / "dump.jsonl") == 4
        assert other.jobs.list() == before
        assert other.jobs.load(tmp_path / "dump.jsonl") == 0
        stream = io.BytesIO()
        assert other.jobs.dump(stream, state="queued") == 1
        assert other.jobs.delete(handle.id) == 1
        stream.seek(0)
        assert other.jobs.load(stream) == 1
        assert other.jobs.get(handle.id).args == [7]


def test_a_line_that_is_no_record_is_named(app: Any, task: Any, tmp_path: Path) -> None:
    task.enqueue(1)
    app.jobs.dump(tmp_path / "dump.jsonl")
    app.jobs.delete(task="work")
    with (tmp_path / "dump.jsonl").open("a") as stream:
        stream.write('\n{"id": 5}\n')
    with pytest.raises(InvalidOption, match=r"line 3 is not a job's record: .*; 1 jobs were put back"):
        app.jobs.load(tmp_path / "dump.jsonl")
    assert app.jobs.count() == {"queued": 1}


def test_a_file_that_cannot_be_opened_is_named(app: Any, tmp_path: Path) -> None:
    with pytest.raises(StokerError, match=r"nowhere/dump cannot be opened: No such file"):
        app.jobs.dump(tmp_path / "nowhere" / "dump")
    with pytest.raises(StokerError, match="cannot be opened: No such file"):
        app.jobs.load(tmp_path / "nowhere")


def test_a_paused_queue_starts_nothing(queue_place: Any, app: Any, task: Any) -> None:
    app.queues.pause("slow")
    held, free = task.using(queue="slow").enqueue(1), task.enqueue(2)
    queue_place.work()
    assert free.result(WAIT) == 2
    assert held.refresh().state == "queued"
    [slow] = [queue for queue in app.queues.list() if queue.name == "slow"]
    assert (slow.paused, slow.queued, slow.processing) == (True, 1, 0)
    assert slow.oldest is not None
    app.queues.resume("slow")
    assert held.result(WAIT) == 1


@pytest.mark.asyncio
async def test_every_verb_has_an_async_form(app: Any, task: Any, tmp_path: Path) -> None:
    handle = await task.aenqueue(1)
    assert (await app.jobs.aget(handle.id)).id == handle.id
    assert [job.id for job in await app.jobs.alist()] == [handle.id]
    assert await app.jobs.acount() == {"queued": 1}
    assert await app.jobs.aprioritise(handle.id, priority=3) == 1
    assert await app.jobs.acancel(handle.id) == 1
    assert await app.jobs.aretry(handle.id) == 1
    assert await app.jobs.arequeue() == 0
    assert await app.jobs.adump(tmp_path / "dump") == 1
    assert await app.jobs.acancel(state="queued") == 1
    assert await app.jobs.atidy() == 1
    assert await app.jobs.aload(tmp_path / "dump") == 1
    assert await app.jobs.apurge() == 0
    assert await app.jobs.adelete(handle.id) == 1
    await app.queues.apause("default")
    assert (await app.queues.alist())[0].paused
    await app.queues.aresume("default")
    assert await app.workers.alist() == []


def test_sync_and_async_forms_take_the_same(app: Any) -> None:
    import inspect

    for group in (app.jobs, app.queues, app.workers):
        verbs = [name for name in dir(group) if not name.startswith("_") and hasattr(group, f"a{name}")]
        assert verbs
        for name in verbs:
            sync, asynchronous = getattr(group, name), getattr(group, f"a{name}")
            assert inspect.signature(sync) == inspect.signature(asynchronous)
            assert inspect.iscoroutinefunction(asynchronous)
            assert not inspect.iscoroutinefunction(sync)
