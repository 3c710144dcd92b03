"""`stoker workflows`, `stoker queues limit`, and what `stoker jobs show` says of jobs that wait."""

from __future__ import annotations

import importlib

import pytest

import places
from stoker import Workflow, batch, chain
from stoker.job import Job
from stoker.workflow_record import WorkflowRecord

TASKS = """

@app.task
async def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
async def count(number: int) -> int:
    return number


@app.task(name="sync", queue="slow", concurrency=1, by="account")
async def sync(account: str) -> None: ...
"""


@pytest.fixture(params=["sqlite-normal", "postgres", "redis"])
def url(request, tmp_path):
    """Every store."""
    with places.fresh(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def enqueued(shop, monkeypatch):
    """Enqueue what is made of the shop's tasks; the handle."""
    with (shop.folder / "shop.py").open("a") as file:
        file.write(TASKS)
    monkeypatch.syspath_prepend(str(shop.folder))

    def enqueue(make):
        shop.forget()
        tasks = importlib.import_module("shop")
        with tasks.app:
            return make(tasks).enqueue()

    return enqueue


def fan(tasks):
    """Three side by side, then one that waits for all of them, then one more."""
    return chain(batch([tasks.count.call(n) for n in range(3)]), tasks.total.call(), tasks.count.call())


def failing(tasks, branches=1):
    """One after the other: what completes, what fails, what is cancelled for it."""
    flow = Workflow()
    for number in range(branches):
        first = flow.add(tasks.count.call(number))
        second = flow.add(tasks.broken.call(), after=first)
        flow.add(tasks.resize.call("a"), after=second)
    return flow


def failing_alone(tasks):
    flow = Workflow()
    bad = flow.add(tasks.broken.call())
    flow.add(tasks.resize.call("held"), after=bad, on_parent_failure="hold")
    flow.add(tasks.resize.call("free"))
    return flow


# --- seeing -----------------------------------------------------------------------------------------------------------


def test_there_are_none_at_first(shop):
    shop.ok("migrate")
    assert "there are no workflows" in shop.ok("workflows", "list").err
    assert shop.ok("workflows", "list", "--json").json == []


def test_the_list_in_pages(shop, enqueued):
    ids = [enqueued(fan).id for _ in range(3)]
    done = shop.ok("workflows", "list", "-n", "2")
    assert done.out.split("\n")[0].split() == ["WORKFLOW", "STATE", "PROGRESS", "JOBS", "BEGUN", "CHANGED", "COUNTS"]
    assert "2 waiting, 3 queued" in done.out
    assert f"--before {ids[1]}" in done.err
    found = shop.ok("workflows", "list", "--before", ids[1], "--json").json
    assert [flow["id"] for flow in found] == [ids[0]]
    assert set(found[0]) == set(WorkflowRecord.__struct_fields__)
    assert (found[0]["state"], found[0]["progress"], found[0]["total"]) == ("queued", 0.0, 5)
    assert found[0]["counts"] == {"queued": 3, "waiting": 2}


def test_showing_one_and_what_its_jobs_wait_for(shop, enqueued):
    id = enqueued(fan).id
    done = shop.ok("workflows", "show", id)
    lines = [line for line in done.out.splitlines() if " shop." in line]
    assert [line.split()[2] for line in lines] == ["shop.count"] * 3 + ["shop.total", "shop.count"]
    assert "3 shop.count" in lines[3]
    assert lines[4].count("shop.total") == 1
    shown = shop.ok("workflows", "show", id, "--json").json
    assert set(shown) == {*WorkflowRecord.__struct_fields__, "jobs"}
    jobs = shown["jobs"]
    assert set(jobs[0]) == set(Job.__struct_fields__)
    assert jobs[3]["open_parents"] == sorted(job["id"] for job in jobs[:3])
    shop.drain()
    out = shop.ok("workflows", "show", id).out
    assert "5 completed" in out
    assert "finished" in out
    assert [job["open_parents"] for job in shop.ok("workflows", "show", id, "--json").json["jobs"]] == [[]] * 5


def test_showing_one_in_pages(shop, enqueued):
    id = enqueued(fan).id
    first = shop.ok("workflows", "show", id, "-n", "3", "--json").json["jobs"]
    more = shop.ok("workflows", "show", id, "--after", first[-1]["id"], "--json").json["jobs"]
    assert [job["task"] for job in more] == ["shop.total", "shop.count"]
    assert "3 shop.count" in shop.ok("workflows", "show", id, "--after", first[-1]["id"]).out
    assert f"--after {first[-1]['id']}" in shop.ok("workflows", "show", id, "-n", "3").err
    assert "no jobs after" in shop.ok("workflows", "show", id, "--after", more[-1]["id"]).err


@pytest.mark.parametrize("verb", ["show", "cancel", "retry"])
def test_an_unknown_id_is_an_error(shop, verb):
    shop.ok("migrate")
    done = shop.run("workflows", verb, "nobody")
    assert done.code == 1
    assert "no workflow has the id 'nobody'" in done.err
    assert done.out == ""


# --- changing ---------------------------------------------------------------------------------------------------------


def test_cancel_counts_and_asks(shop, enqueued):
    id = enqueued(fan).id
    done = shop.run("workflows", "cancel", id)
    assert done.code == 2
    assert "this would cancel 5 jobs" in done.err
    assert "would cancel 5 jobs" in shop.ok("workflows", "cancel", id, "--dry-run").out
    assert set(shop.states().values()) == {"queued", "waiting"}
    done = shop.ok("workflows", "cancel", id, "--reason", "not today", "--yes")
    assert f"cancelled 5 jobs; workflow {id} is cancelled" in done.out
    jobs = shop.ok("workflows", "show", id, "--json").json["jobs"]
    assert {job["error"] for job in jobs} == {"not today"}
    again = shop.run("workflows", "cancel", id, "--yes")
    assert again.code == 1
    assert "there is nothing to cancel" in again.err
    assert shop.ok("workflows", "cancel", id, "--dry-run", "--json").json == {"matched": 0, "changed": 0}


def test_retry_puts_the_rest_in_order_again(shop, enqueued):
    id = enqueued(failing).id
    shop.drain()
    assert shop.run("workflows", "retry", id).code == 2
    assert shop.ok("workflows", "retry", id, "--dry-run", "--json").json == {"matched": 2, "changed": 0}
    assert shop.ok("workflows", "retry", id, "--yes", "--json").json == {"matched": 2, "changed": 2}
    jobs = shop.ok("workflows", "show", id, "--json").json["jobs"]
    assert [job["state"] for job in jobs] == ["completed", "queued", "waiting"]


def test_retry_from_a_job_on(shop, enqueued):
    id = enqueued(lambda tasks: failing(tasks, branches=2)).id
    shop.drain()
    jobs = shop.ok("workflows", "show", id, "--json").json["jobs"]
    assert [job["state"] for job in jobs] == ["completed", "failed", "cancelled"] * 2
    done = shop.ok("workflows", "retry", id, "--from", jobs[1]["id"], "--yes")
    assert "retried 2 jobs" in done.out
    states = [job["state"] for job in shop.ok("workflows", "show", id, "--json").json["jobs"]]
    assert states == ["completed", "queued", "waiting", "completed", "failed", "cancelled"]
    wrong = shop.run("workflows", "retry", id, "--from", "nobody", "--yes")
    assert wrong.code == 1
    assert "nobody is not a step of workflow" in wrong.err


# --- jobs that wait ---------------------------------------------------------------------------------------------------


def test_a_waiting_job_tells_for_what(shop, enqueued):
    id = enqueued(fan).id
    jobs = shop.ok("workflows", "show", id, "--json").json["jobs"]
    out = shop.ok("jobs", "show", jobs[3]["id"]).out
    assert "it waits for 3 other jobs to finish" in out
    assert "waits for" in out
    assert "if one fails" in out
    for shown in (id, *(job["id"] for job in jobs[:3])):
        assert shown in out


def test_a_job_that_holds_names_the_failure_and_what_to_do(shop, enqueued):
    id = enqueued(failing_alone).id
    shop.drain()
    bad, held, free = shop.ok("workflows", "show", id, "--json").json["jobs"]
    assert [bad["state"], held["state"], free["state"]] == ["failed", "waiting", "completed"]
    assert f"it holds for a job that failed: stoker jobs retry {bad['id']}" in shop.ok("jobs", "show", held["id"]).out


def test_a_limited_job_names_its_limit(shop, enqueued):
    enqueued(lambda tasks: batch([tasks.sync.call("a")]))
    [job] = shop.ok("jobs", "list", "--json").json
    assert job["limit"] == 'sync account="a"'
    assert 'sync account="a"' in shop.ok("jobs", "show", job["id"]).out


# --- queues -----------------------------------------------------------------------------------------------------------


def test_limiting_a_queue(shop):
    shop.enqueue("mail", "x")
    done = shop.ok("queues", "limit", "mail", "--concurrency", "5", "--rate", "100/m", "--fair", "owner")
    assert "mail lets through: 5 at once, 100/m, fair by owner" in done.out
    assert "5 at once, 100/m, fair by owner" in shop.ok("queues", "list").out
    [queue] = shop.ok("queues", "list", "--json").json
    assert queue["limit"] == {"concurrency": 5, "rate": 100, "period": 60_000_000, "fair": "owner"}
    [queue] = shop.ok("queues", "limit", "mail", "--rate", "1/10s", "--json").json
    assert queue["limit"] == {"concurrency": None, "rate": 1, "period": 10_000_000, "fair": None}
    assert "1/10s" in shop.ok("queues", "list").out
    assert "mail lets through: everything" in shop.ok("queues", "limit", "mail").out
    shop.drain()
    assert set(shop.states().values()) == {"completed"}


def test_a_limited_queue_lets_no_more_through(shop):
    ids = [shop.enqueue("mail", name) for name in "abc"]
    shop.ok("queues", "limit", "mail", "--rate", "2/h")
    shop.drain()
    assert [shop.states()[id] for id in ids] == ["completed", "completed", "queued"]


def test_turns_by_an_argument_need_a_task_that_names_it(shop, enqueued):
    enqueued(lambda tasks: batch([tasks.sync.call("a")]))
    assert "fair by argument" in shop.ok("queues", "limit", "slow", "--fair", "account").out
    done = shop.run("queues", "limit", "slow", "--fair", "acount")
    assert done.code == 2
    assert "not 'acount'" in done.err


@pytest.mark.parametrize("args", [("--rate", "100 per minute"), ("--concurrency", "0"), ("--rate", "0/m")])
def test_a_limit_that_cannot_be_is_a_usage_error(shop, args):
    shop.ok("migrate")
    assert shop.run("queues", "limit", "mail", *args).code == 2
    assert shop.ok("queues", "list", "--json").json == []
