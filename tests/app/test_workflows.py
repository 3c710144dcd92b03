"""Workflows as an app enqueues them: what runs after what, what is passed, and what becomes of failures."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stoker import (
    Cancel,
    Context,
    InvalidArguments,
    JobCancelled,
    JobFailed,
    State,
    Stoker,
    Workflow,
    WorkflowError,
    WorkflowNotFound,
    batch,
    chain,
    previous,
)

WAIT = 60


class Tasks:
    """The tasks of these tests, and what was run, in order."""

    def __init__(self, app: Stoker) -> None:
        self.ran: list[str] = []

        @app.task(name="add")
        def add(number: int, more: int = 1) -> int:
            self.ran.append("add")
            return number + more

        @app.task(name="total", queue="other")
        async def total(numbers: list[int]) -> int:
            self.ran.append("total")
            return sum(numbers)

        @app.task(name="fail")
        def fail(number: int = 0) -> int:
            self.ran.append("fail")
            raise ValueError(f"no luck with {number}")

        @app.task(name="flaky")
        def flaky(number: int) -> int:
            self.ran.append("flaky")
            if self.ran.count("flaky") == 1:
                raise ValueError("not yet")
            return number * 10

        @app.task(name="note")
        def note(text: str) -> str:
            self.ran.append(text)
            return text

        @app.task(name="show")
        def show(value: Any) -> str:
            self.ran.append("show")
            return json.dumps(value)

        @app.task(name="give_up")
        def give_up() -> None:
            raise Cancel("enough")

        self.add, self.total, self.fail, self.flaky = add, total, fail, flaky
        self.note, self.show, self.give_up = note, show, give_up


@pytest.fixture
def tasks(place: Any) -> Tasks:
    return Tasks(place.app)


# --- chains ---------------------------------------------------------------------------------------------------------


def test_each_result_of_a_chain_is_the_next_ones_first_argument(place: Any, tasks: Tasks) -> None:
    handle = chain(tasks.add.call(1), tasks.add.call(), tasks.add.call(more=10)).enqueue()
    place.work()
    assert handle.result(WAIT) == 13
    assert tasks.ran == ["add"] * 3


def test_previous_goes_where_it_is_placed(place: Any, tasks: Tasks) -> None:
    handle = chain(tasks.add.call(1), tasks.show.call({"a": [previous, 7], "b": previous})).enqueue()
    place.work()
    assert json.loads(handle.result(WAIT)) == {"a": [2, 7], "b": 2}


def test_a_chain_of_one(place: Any, tasks: Tasks) -> None:
    handle = chain(tasks.add.call(1)).enqueue()
    place.work()
    assert handle.result(WAIT) == 2


def test_a_failure_cancels_the_rest_of_a_chain(place: Any, tasks: Tasks) -> None:
    handle = chain(tasks.add.call(1), tasks.fail.call(), tasks.add.call(), tasks.add.call()).enqueue()
    place.work()
    with pytest.raises(JobFailed, match="no luck with 2"):
        handle.result(WAIT)
    record = handle.refresh()
    assert record.state is State.FAILED
    assert record.counts == {State.COMPLETED: 1, State.FAILED: 1, State.CANCELLED: 2}
    assert tasks.ran == ["add", "fail"]


def test_a_cancelled_step_is_told_as_such(place: Any, tasks: Tasks) -> None:
    handle = chain(tasks.give_up.call(), tasks.note.call()).enqueue()
    place.work()
    with pytest.raises(JobCancelled, match="enough"):
        handle.result(WAIT)
    assert handle.refresh().state is State.CANCELLED


def test_a_result_that_does_not_fit_the_next_one_fails_it(place: Any, tasks: Tasks) -> None:
    handle = chain(tasks.note.call("text"), tasks.add.call()).enqueue()
    place.work()
    with pytest.raises(JobFailed, match=r"add\(\) argument 'number': expected `int`, got `str`"):
        handle.result(WAIT)


def test_from_async_code(place: Any, tasks: Tasks) -> None:
    async def use() -> Any:
        handle = await chain(tasks.add.call(1), tasks.add.call()).aenqueue()
        async with asyncio.timeout(WAIT):
            return await handle, (await handle.arefresh()).state

    place.work()
    assert asyncio.run(use()) == (3, State.COMPLETED)


# --- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_gives_its_results_in_order(place: Any, tasks: Tasks) -> None:
    handle = batch(tasks.add.call(n) for n in range(20)).enqueue()
    place.work()
    assert handle.result(WAIT) == list(range(1, 21))


def test_then_runs_once_when_all_completed(place: Any, tasks: Tasks) -> None:
    handle = batch(
        [tasks.add.call(n) for n in range(10)],
        then=tasks.note.call("then"),
        on_failure=tasks.note.call("on_failure"),
        always=tasks.note.call("always"),
    ).enqueue()
    place.work()
    assert handle.result(WAIT) == list(range(1, 11))
    assert sorted(tasks.ran) == sorted(["add"] * 10 + ["then", "always"])
    assert handle.refresh().state is State.COMPLETED


def test_on_failure_runs_once_when_one_failed(place: Any, tasks: Tasks) -> None:
    handle = batch(
        [tasks.add.call(1), tasks.fail.call(), tasks.fail.call()],
        then=tasks.note.call("then"),
        on_failure=tasks.note.call("on_failure"),
        always=tasks.note.call("always"),
    ).enqueue()
    place.work()
    with pytest.raises(JobFailed, match="no luck"):
        handle.result(WAIT)
    assert sorted(tasks.ran) == sorted(["add", "fail", "fail", "on_failure", "always"])


def test_a_batch_of_nothing_has_completed(place: Any, tasks: Tasks) -> None:
    handle = batch(
        [], then=tasks.note.call("then"), on_failure=tasks.note.call("no"), always=tasks.note.call("always")
    ).enqueue()
    place.work()
    assert handle.result(WAIT) == []
    assert sorted(tasks.ran) == ["always", "then"]


def test_a_batch_in_a_chain_fans_out_and_in(place: Any, tasks: Tasks) -> None:
    fan = batch([tasks.add.call(more=n) for n in range(5)])
    handle = chain(tasks.add.call(0), fan, tasks.total.call(), tasks.add.call()).enqueue()
    place.work()
    assert handle.result(WAIT) == 5 + 10 + 1


def test_chains_in_a_batch(place: Any, tasks: Tasks) -> None:
    handle = batch(
        [chain(tasks.add.call(n), tasks.add.call()) for n in range(3)], then=tasks.note.call("end")
    ).enqueue()
    place.work()
    assert handle.result(WAIT) == [2, 3, 4]
    assert tasks.ran[-1] == "end"


def test_batches_in_a_batch(place: Any, tasks: Tasks) -> None:
    inner = [batch([tasks.add.call(n), tasks.add.call(n)], then=tasks.note.call(f"inner {n}")) for n in range(2)]
    handle = batch(inner, then=tasks.note.call("outer")).enqueue()
    place.work()
    assert handle.result(WAIT) == [[1, 1], [2, 2]]
    assert tasks.ran[-1] == "outer"
    assert sorted(tasks.ran) == sorted(["add"] * 4 + ["inner 0", "inner 1", "outer"])


# --- graphs ---------------------------------------------------------------------------------------------------------


def test_a_step_is_passed_where_it_is_placed_at_any_depth(place: Any, tasks: Tasks) -> None:
    flow = Workflow()
    one, two = flow.add(tasks.add.call(1)), flow.add(tasks.add.call(2))
    shown = flow.add(tasks.show.call({"list": [one, {"deep": [two, 5]}], "alone": one}))
    handle = flow.enqueue()
    place.work()
    assert json.loads(handle.result(WAIT)) == {"list": [2, {"deep": [3, 5]}], "alone": 2}
    assert handle.job(shown).result(WAIT) == handle.result(WAIT)
    assert len(handle.job(shown).refresh().parents) == 2


def test_after_orders_without_passing(place: Any, tasks: Tasks) -> None:
    flow = Workflow()
    first = flow.add(tasks.note.call("first"))
    second = flow.add(tasks.note.call("second"), after=first)
    flow.add(tasks.note.call("third"), after=[first, second])
    handle = flow.enqueue()
    place.work()
    assert handle.result(WAIT) == "third"
    assert tasks.ran == ["first", "second", "third"]


def test_several_ends_give_a_list(place: Any, tasks: Tasks) -> None:
    flow = Workflow()
    root = flow.add(tasks.add.call(0))
    for more in (10, 20):
        flow.add(tasks.add.call(root, more=more))
    handle = flow.enqueue()
    place.work()
    assert handle.result(WAIT) == [11, 21]


def test_run_gets_none_for_what_is_missing(place: Any, tasks: Tasks) -> None:
    flow = Workflow()
    good, bad = flow.add(tasks.add.call(1)), flow.add(tasks.fail.call())
    shown = flow.add(tasks.show.call([good, bad]), on_parent_failure="run")
    handle = flow.enqueue()
    place.work()
    with pytest.raises(JobFailed):
        handle.result(WAIT)
    assert handle.job(shown).result(WAIT) == "[2, null]"


def test_hold_waits_for_a_person(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    flow = Workflow()
    first = flow.add(tasks.flaky.call(4))
    flow.add(tasks.add.call(first), on_parent_failure="hold")
    handle = flow.enqueue()
    queue_place.drain()
    assert handle.refresh().state is State.WAITING
    assert handle.retry() == 1
    queue_place.drain()
    assert handle.result(WAIT) == 41


def test_the_whole_is_retried(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    handle = chain(tasks.add.call(3), tasks.flaky.call(), tasks.add.call(), tasks.add.call()).enqueue()
    queue_place.drain()
    assert handle.refresh().state is State.FAILED
    assert queue_place.app.workflows.retry(handle.id, dry_run=True) == 3
    assert handle.retry() == 3
    queue_place.drain()
    assert handle.result(WAIT) == 42
    assert tasks.ran == ["add", "flaky", "flaky", "add", "add"]


def test_a_retry_from_a_step_on(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    flow = Workflow()
    left = flow.add(tasks.flaky.call(1))
    flow.add(tasks.add.call(left))
    right = flow.add(tasks.fail.call())
    flow.add(tasks.add.call(right))
    handle = flow.enqueue()
    queue_place.drain()
    assert handle.retry(left) == 2
    queue_place.drain()
    assert handle.refresh().counts == {State.COMPLETED: 2, State.FAILED: 1, State.CANCELLED: 1}
    with pytest.raises(WorkflowError, match="not a step"):
        handle.retry("no such step")


def test_a_retry_from_a_step_that_would_miss_a_result_is_refused(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    flow = Workflow()
    first = flow.add(tasks.flaky.call(1))
    second = flow.add(tasks.add.call(first))
    third = flow.add(tasks.add.call(second))
    handle = flow.enqueue()
    queue_place.drain()
    with pytest.raises(WorkflowError, match=rf"waits for flaky {first.id}, which failed: retry from that step on"):
        handle.retry(second)
    with pytest.raises(WorkflowError, match=rf"waits for add {second.id}, which was cancelled"):
        queue_place.app.workflows.retry(handle.id, third, dry_run=True)
    assert handle.refresh().counts == {State.FAILED: 1, State.CANCELLED: 2}
    assert handle.retry(first) == 3
    queue_place.drain()
    assert handle.result(WAIT) == 12


def test_a_single_retry_that_would_miss_a_result_is_refused(queue_place: Any) -> None:
    tasks, jobs = Tasks(queue_place.app), queue_place.app.jobs
    flow = Workflow()
    first = flow.add(tasks.flaky.call(1))
    second = flow.add(tasks.add.call(first))
    spite = flow.add(tasks.fail.call(), after=first, on_parent_failure="run")
    handle = flow.enqueue()
    queue_place.drain()
    why = rf"{second.id} waits for flaky {first.id}, which failed: retry the workflow, or that job first"
    for dry_run in (True, False):
        with pytest.raises(WorkflowError, match=why):
            jobs.retry(second.id, dry_run=dry_run)
    assert handle.job(second).refresh().state is State.CANCELLED
    assert jobs.retry(spite.id) == 1  # it runs whatever became of its parent
    assert jobs.retry(first.id) == 1
    queue_place.drain()
    assert jobs.retry(second.id) == 1
    queue_place.drain()
    assert handle.job(second).refresh().state is State.COMPLETED


def test_a_retry_leaves_out_what_would_miss_another_result(queue_place: Any) -> None:
    """It is retried with that one, and then waits for both."""
    tasks = Tasks(queue_place.app)
    flow = Workflow()
    left, right = flow.add(tasks.flaky.call(1)), flow.add(tasks.fail.call())
    both = flow.add(tasks.show.call([left, right]))
    flow.add(tasks.add.call(1), after=both)
    flow.add(tasks.note.call("however"), after=[left, right], on_parent_failure="run")
    handle = flow.enqueue()
    queue_place.drain()
    assert handle.retry(left) == 1
    assert handle.retry() == 3
    assert len(handle.job(both).refresh().open_parents) == 2


def test_the_whole_is_cancelled(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    handle = batch([tasks.add.call(1), tasks.add.call(2)], then=tasks.note.call("then")).enqueue()
    assert queue_place.app.workflows.cancel(handle.id, dry_run=True) == 3
    assert handle.cancel(reason="not today") == 3
    queue_place.drain()
    assert tasks.ran == []
    with pytest.raises(JobCancelled, match="not today"):
        handle.result(WAIT)


def test_workflows_are_listed(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    handles = [chain(tasks.add.call(n), tasks.add.call()).enqueue() for n in range(3)]
    listed = queue_place.app.workflows.list(limit=2)
    assert [record.id for record in listed] == [handle.id for handle in handles[:0:-1]]
    assert listed[0].state is State.QUEUED
    assert (listed[0].total, listed[0].progress) == (2, 0.0)
    assert [r.id for r in queue_place.app.workflows.list(before=listed[-1].id)] == [handles[0].id]
    assert {job.workflow for job in queue_place.app.jobs.list(workflow=handles[0].id)} == {handles[0].id}
    with pytest.raises(WorkflowNotFound, match="no workflow has the id 'none'"):
        queue_place.app.workflows.get("none")


def test_progress_is_the_share_that_has_ended(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    handle = batch([tasks.add.call(1), tasks.add.using(delay=1000).call(2)]).enqueue()
    queue_place.drain()
    record = handle.refresh()
    assert (record.state, record.progress, record.finished_at) == (State.SCHEDULED, 0.5, None)
    with pytest.raises(TimeoutError, match="is still scheduled"):
        handle.result(0)


def test_a_handle_made_of_an_id_waits_for_the_end(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    good = queue_place.app.workflows.handle(chain(tasks.add.call(1)).enqueue().id)
    bad = queue_place.app.workflows.handle(chain(tasks.fail.call(1)).enqueue().id)
    queue_place.drain()
    assert good.result(WAIT) is None
    with pytest.raises(JobFailed, match="no luck"):
        bad.result(WAIT)


def test_a_batch_of_ten_thousand(queue_place: Any) -> None:
    tasks = Tasks(queue_place.app)
    handle = batch([tasks.total.call([n]) for n in range(10_000)], then=tasks.note.call("then")).enqueue()
    queue_place.drain(concurrency=50)
    assert handle.refresh().counts == {State.COMPLETED: 10_001}
    assert handle.result(WAIT) == list(range(10_000))
    assert tasks.ran.count("then") == 1


# --- more of it -----------------------------------------------------------------------------------------------------


def test_a_running_job_adds_steps(running_place: Any) -> None:
    app = running_place.app
    tasks = Tasks(app)

    @app.task(name="spread")
    def spread(ctx: Context, count: int) -> int:
        for number in range(count):
            ctx.workflow.add(tasks.add.call(number))
        return count

    @app.task(name="aspread")
    async def aspread(ctx: Context, count: int) -> int:
        steps = [await ctx.workflow.aadd(tasks.add.call(number)) for number in range(count)]
        await ctx.workflow.aadd(tasks.total.call(steps))
        return count

    handle = batch([spread.call(5), aspread.call(3)], then=tasks.note.call("then")).enqueue()
    running_place.work()
    assert handle.result(WAIT) == [5, 3]
    assert tasks.ran[-1] == "then"
    assert sorted(tasks.ran) == sorted(["add"] * 8 + ["total", "then"])


def test_an_attempt_that_is_repeated_adds_its_steps_once(running_place: Any) -> None:
    app = running_place.app
    tasks = Tasks(app)

    @app.task(name="spread", max_attempts=3)
    def spread(ctx: Context) -> None:
        for number in (1, 2, 2):
            ctx.workflow.add(tasks.add.call(number))
        if ctx.attempt < 3:
            raise ValueError("once more")

    handle = batch([spread.call()]).enqueue()
    running_place.work()
    assert handle.result(WAIT) == [None]
    assert tasks.ran == ["add"] * 3


def test_a_job_outside_of_a_workflow_has_none(place: Any) -> None:
    @place.app.task(name="lonely")
    def lonely(ctx: Context) -> None:
        _ = ctx.workflow

    handle = lonely.enqueue()
    place.work()
    with pytest.raises(JobFailed, match="is not a step of a workflow"):
        handle.result(WAIT)


# --- mistakes -------------------------------------------------------------------------------------------------------


def test_mistakes_are_found_where_they_are_made(memory_place: Any) -> None:
    tasks = Tasks(memory_place.app)
    other = Tasks(Stoker("memory://", mode="foreground"))
    flow = Workflow()
    step = flow.add(tasks.add.call(1))
    with pytest.raises(WorkflowError, match="a chain needs at least one step"):
        chain().enqueue()
    with pytest.raises(WorkflowError, match="there is nothing to enqueue"):
        Workflow().enqueue()
    with pytest.raises(WorkflowError, match=r"made of calls \(task.call\(…\)\), chains and batches, not of"):
        chain(tasks.add)
    with pytest.raises(WorkflowError, match="on_parent_failure must be one of 'cancel', 'run', 'hold', not 'ignore'"):
        flow.add(tasks.add.call(1), on_parent_failure="ignore")
    with pytest.raises(WorkflowError, match="a step cannot have key"):
        flow.add(tasks.add.using(key="k").call(1))
    with pytest.raises(WorkflowError, match="a step cannot have debounce"):
        flow.add(tasks.add.using(debounce=5).call(1))
    with pytest.raises(WorkflowError, match="is not a step of this workflow"):
        Workflow().add(tasks.add.call(step))
    with pytest.raises(ValueError, match="must be tasks of one app"):
        flow.add(other.add.call(1))
    with pytest.raises(InvalidArguments, match="a step can be an argument within its workflow only"):
        tasks.add.enqueue(step)
    with pytest.raises(InvalidArguments, match="missing a required argument: 'number'"):
        memory_place.app.enqueue_many([tasks.add.call()])
    with pytest.raises(InvalidArguments, match="missing a required argument: 'number'"):
        chain(tasks.add.call(), tasks.add.call()).enqueue()
    with pytest.raises(InvalidArguments, match="'more': expected `int`, got `str`"):
        tasks.add.call(step, more="x")
    with pytest.raises(InvalidArguments, match="too many positional arguments"):
        chain(tasks.add.call(1), tasks.add.call(1, 2)).enqueue()
    assert memory_place.app.jobs.count() == {}


def test_plain_data_that_looks_like_a_step_stays_what_it_is(place: Any, tasks: Tasks) -> None:
    value = {"$step": "abc"}
    plain = tasks.show.enqueue(value)
    place.work()
    assert json.loads(plain.result(WAIT)) == value
