"""Idempotency-Key: however often a request arrives, it makes one job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio


def post(client: Any, header: str, args: Any = (1,), task: str = "add", **options: Any) -> Any:
    body = {"task": task, "args": args, "options": options}
    return client.post("/jobs", json=body, headers={"idempotency-key": header})


async def test_a_replay_is_answered_with_the_first_job(site: Any) -> None:
    first, again = await post(site.ann, "k"), await post(site.ann, "k")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert (first.headers["idempotency-replayed"], again.headers["idempotency-replayed"]) == ("false", "true")
    assert first.json()["key"] == "k"


async def test_also_once_the_job_has_finished(site: Any) -> None:
    first = await post(site.ann, "k")
    await site.work()
    again = await post(site.ann, "k")
    assert (again.json()["id"], again.json()["state"]) == (first.json()["id"], "completed")


@pytest.mark.parametrize("finished", [False, True])
async def test_other_content_is_refused(site: Any, finished: bool) -> None:
    await post(site.ann, "k")
    if finished:
        await site.work()
    for changed in ({"args": (2,)}, {"task": "echo"}, {"queue": "mail"}, {"meta": {"x": 1}}, {"tags": ["t"]}):
        said = await post(site.ann, "k", **changed)
        assert (said.status_code, said.json()["type"]) == (422, "urn:stoker:idempotency-key-reused"), changed


async def test_keys_of_two_owners_never_meet(site: Any) -> None:
    made = [(await post(site.by(who), "k", args=(n,))).json() for n, who in enumerate(("ann", "bob", "root", "ann·k"))]
    assert len({job["id"] for job in made}) == 4
    assert {job["key"] for job in made} == {"k"}


async def test_of_many_at_once_one_makes_the_job(site: Any) -> None:
    answers = await asyncio.gather(*(post(site.ann, "k") for _ in range(20)))
    assert {said.status_code for said in answers} == {202}
    assert len({said.json()["id"] for said in answers}) == 1
    assert sum(said.headers["idempotency-replayed"] == "false" for said in answers) == 1
    assert len((await site.ann.get("/jobs")).json()["jobs"]) == 1


async def test_a_key_that_another_job_has_is_refused_where_it_says_something_else(site: Any) -> None:
    await site.ann.post("/jobs", json={"task": "add", "args": [1], "options": {"key": "k"}})
    assert (await post(site.ann, "k", args=(2,))).status_code == 422
    assert (await post(site.ann, "k", args=(1,))).headers["idempotency-replayed"] == "true"


async def test_the_key_of_the_job_itself_keeps_its_own_rule(site: Any) -> None:
    first = await post(site.ann, "one", key="mine")
    other = await post(site.ann, "two", args=(2,), key="mine")
    assert other.json()["id"] == first.json()["id"], "an unfinished job has that key, and is the answer"
    await site.work()
    assert (await post(site.ann, "one", key="mine")).json()["id"] == first.json()["id"]
    assert (await post(site.ann, "one", args=(3,), key="mine")).status_code == 422
    assert (await post(site.ann, "three", key="mine")).json()["id"] != first.json()["id"]


async def test_a_deleted_job_is_made_again(site: Any) -> None:
    first = await post(site.ann, "k")
    await site.app.jobs.adelete(first.json()["id"])
    again = await post(site.ann, "k")
    assert again.status_code == 202
    assert again.json()["id"] != first.json()["id"]


async def test_throttled_tasks_answer_with_the_job_that_stands_for_them(site: Any) -> None:
    first = await post(site.ann, "one", task="throttled")
    other = await post(site.ann, "two", args=(2,), task="throttled")
    assert (other.status_code, other.json()["id"]) == (202, first.json()["id"])
    assert (await post(site.ann, "one", args=(2,), task="throttled")).status_code == 422
    theirs = await post(site.bob, "one", task="throttled")
    assert (theirs.status_code, theirs.json()["type"]) == (409, "urn:stoker:in-place-of-another")
    assert first.json()["id"] not in theirs.text


async def test_debounced_tasks_take_what_was_said_last(site: Any) -> None:
    first = await post(site.ann, "one", task="debounced")
    other = await post(site.ann, "two", args=(2,), task="debounced")
    assert (other.status_code, other.json()["id"], other.json()["args"]) == (202, first.json()["id"], [2])
    assert (await post(site.ann, "one", task="debounced")).json()["id"] == first.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_a_key_that_is_none(site: Any, key: str) -> None:
    said = await post(site.ann, key)
    assert (said.status_code, said.json()["type"]) == (422, "urn:stoker:invalid-idempotency-key")
