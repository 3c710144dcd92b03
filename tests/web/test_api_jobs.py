"""Single jobs over HTTP: enqueue, read, list, cancel, retry, logs, tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoker.job import State

pytestmark = pytest.mark.asyncio


async def test_an_enqueued_job_is_its_askers(site: Any) -> None:
    said = await site.ann.post("/jobs", json={"task": "jobs.add", "args": [1], "kwargs": {"b": 2}})
    assert said.status_code == 202
    record = said.json()
    assert (record["task"], record["args"], record["kwargs"], record["owner"]) == ("jobs.add", [1], {"b": 2}, "ann")
    assert said.headers["location"] == f"/jobs/{record['id']}"
    assert said.headers["idempotency-replayed"] == "false"
    await site.work()
    done = (await site.ann.get(said.headers["location"])).json()
    assert (done["state"], done["result"], done["progress"]) == ("completed", 3, None)
    assert done["created_at"].endswith("Z")


async def test_a_short_name_is_enough_where_it_is_the_only_one(site: Any) -> None:
    assert (await site.ann.post("/jobs", json={"task": "add", "args": [1]})).json()["task"] == "jobs.add"


async def test_options_are_taken_as_python_takes_them(site: Any) -> None:
    due = datetime.now(UTC) + timedelta(days=1)
    options = {"queue": "mail", "priority": 7, "run_at": due.isoformat(), "tags": ["a", "b"], "meta": {"x": [1]}}
    said = await site.ann.post("/jobs", json={"task": "add", "args": [1], "options": options})
    record = said.json()
    assert (record["queue"], record["priority"], record["tags"], record["meta"]) == ("mail", 7, ["a", "b"], {"x": [1]})
    assert record["state"] == "scheduled"
    assert abs(datetime.fromisoformat(record["run_at"]) - due) < timedelta(milliseconds=1)


async def test_others_than_admins_may_not_give_every_option(site: Any) -> None:
    for options in ({"max_attempts": 9}, {"owner": "bob"}, {"keep_for": 1}, {"expose": True}):
        said = await site.ann.post("/jobs", json={"task": "add", "args": [1], "options": options})
        assert said.status_code == 403, options
    said = await site.admin.post(
        "/jobs", json={"task": "add", "args": [1], "options": {"max_attempts": 9, "owner": "bob"}}
    )
    assert (said.json()["max_attempts"], said.json()["owner"]) == (9, "bob")
    assert (
        await site.ann.post("/jobs", json={"task": "add", "args": [1], "options": {"owner": "ann"}})
    ).status_code == 202


@pytest.mark.parametrize("name", ["jobs.hidden", "hidden", "nothing", ""])
async def test_tasks_that_are_unknown_or_not_exposed_are_alike(site: Any, name: str) -> None:
    said = await site.ann.post("/jobs", json={"task": name})
    assert said.status_code == 404
    assert said.json()["detail"] == f"no task that may be enqueued here is called {name!r}"


async def test_a_list_goes_back_page_by_page(site: Any) -> None:
    made = [(await site.enqueue(args=(n,))).id for n in range(7)]
    seen: list[str] = []
    before: str | None = ""
    while before is not None:
        page = (await site.ann.get("/jobs", params={"limit": 3, "before": before})).json()
        seen += [job["id"] for job in page["jobs"]]
        before = page["next"]
    assert seen == made[::-1]


async def test_filters_narrow_a_list(site: Any) -> None:
    one = await site.enqueue(args=(1,), options={"queue": "mail", "tags": ["t"], "key": "k"})
    two = await site.enqueue(args=(41,), task="jobs.echo")
    await site.app.jobs.acancel(two.id)

    async def found(**params: Any) -> list[str]:
        said = await site.ann.get("/jobs", params=params)
        assert said.status_code == 200, said.text
        return [job["id"] for job in said.json()["jobs"]]

    assert await found(queue="mail") == [one.id]
    assert await found(tag="t") == [one.id]
    assert await found(task="jobs.echo") == [two.id]
    assert await found(state="cancelled") == [two.id]
    assert await found(state="cancelled,queued") == [two.id, one.id]
    assert await found(state=["cancelled", "queued"]) == [two.id, one.id]
    assert await found(text="41") == [two.id]
    assert await found(owner="ann") == [two.id, one.id]
    assert await found(older_than="3600") == []
    assert await found(older_than="0") == [two.id, one.id]


async def test_a_key_is_looked_for_as_its_owner_wrote_it(site: Any) -> None:
    said = await site.ann.post("/jobs", json={"task": "add", "args": [1], "options": {"key": "k"}})
    assert said.json()["key"] == "k"
    for client in (site.ann, site.bob):
        await client.post("/jobs", json={"task": "add", "args": [2], "options": {"key": "k"}})
    mine = (await site.ann.get("/jobs", params={"key": "k"})).json()["jobs"]
    assert [job["id"] for job in mine] == [said.json()["id"]]


async def test_a_key_gives_the_first_job_again(site: Any) -> None:
    first = await site.ann.post("/jobs", json={"task": "add", "args": [1], "options": {"key": "k"}})
    again = await site.ann.post("/jobs", json={"task": "add", "args": [2], "options": {"key": "k"}})
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_tasks_own_rule_for_keys_reads_values_and_not_json(site: Any) -> None:
    for client in (site.ann, site.admin):
        said = await client.post("/jobs", json={"task": "keyed", "args": ["2030-01-31T08:30:00Z"]})
        assert said.status_code == 202, said.text
        assert said.json()["key"] == "2030-01-31T08:30:00+00:00"
    body = {"expression": "every day", "task": "keyed", "args": ["2030-01-31T08:30:00Z"]}
    assert (await site.admin.post("/schedules", json=body)).status_code == 201


async def test_cancel_and_retry(site: Any) -> None:
    job = await site.enqueue()
    said = await site.ann.post(f"/jobs/{job.id}/cancel", json={"reason": "not any more"})
    assert (said.status_code, said.json()["state"], said.json()["error"]) == (200, "cancelled", "not any more")
    assert (await site.ann.post(f"/jobs/{job.id}/cancel")).status_code == 200, "the answer may have been lost"
    assert (await site.ann.post(f"/jobs/{job.id}/retry")).json()["state"] == "queued"
    said = await site.ann.post(f"/jobs/{job.id}/retry")
    assert (said.status_code, said.json()["type"]) == (409, "urn:stoker:cannot-retry")
    await site.work()
    said = await site.ann.post(f"/jobs/{job.id}/cancel")
    assert (said.status_code, said.json()["type"]) == (409, "urn:stoker:cannot-cancel")


async def test_a_reason_may_hold_what_no_store_can(site: Any) -> None:
    job = await site.enqueue()
    said = await site.ann.post(f"/jobs/{job.id}/cancel", json={"reason": "a\x00b" + "x" * 100_000})
    assert said.status_code == 200
    assert said.json()["error"].startswith("a\\x00bx")
    assert len(said.json()["error"]) < 5000


async def test_a_retry_that_another_jobs_key_forbids_says_so(site: Any) -> None:
    first = await site.enqueue(options={"key": "k"})
    await site.app.jobs.acancel(first.id)
    await site.enqueue(options={"key": "k"})
    said = await site.ann.post(f"/jobs/{first.id}/retry")
    assert (said.status_code, said.json()["type"]) == (409, "urn:stoker:key-taken")


async def test_failures_are_told_without_the_servers_insides(site: Any) -> None:
    job = await site.enqueue(task="jobs.boom", args=())
    await site.work()
    mine = (await site.ann.get(f"/jobs/{job.id}")).json()
    assert mine["error"] == "ValueError: it broke"
    assert (mine["errors"][0]["traceback"], mine["errors"][0]["worker"], mine["worker"]) == (None, None, None)
    whole = (await site.admin.get(f"/jobs/{job.id}")).json()
    assert "raise ValueError" in whole["errors"][0]["traceback"]
    assert whole["worker"]


async def test_logs(site: Any) -> None:
    job = await site.enqueue(task="jobs.noted", args=())
    assert (await site.ann.get(f"/jobs/{job.id}/logs")).json() == {"logs": []}
    await site.work()
    [log] = (await site.ann.get(f"/jobs/{job.id}/logs")).json()["logs"]
    assert "it said this" in log["text"]
    token = (await site.ann.post(f"/jobs/{job.id}/token")).json()["token"]
    assert (await site.by(None).get(f"/jobs/{job.id}/logs", params={"token": token})).status_code == 401


async def test_secrets_are_not_shown(site: Any) -> None:
    said = await site.ann.post(
        "/jobs",
        json={
            "task": "echo",
            "args": [{"Password": "CANARY", "deep": [{"api_key": "CANARY"}]}],
            "kwargs": {"password": "CANARY", "plain": "shown"},
            "options": {"meta": {"token": "CANARY"}},
        },
    )
    assert "CANARY" not in said.text
    assert "shown" in said.text
    shared = await site.enqueue(task="jobs.shared", args=("CANARY",))
    for client in (site.ann, site.admin):
        assert "CANARY" not in (await client.get("/jobs")).text
    assert (await site.app.jobs.aget(shared.id)).args == ["CANARY"], "it is only not shown"


async def test_arguments_beyond_the_named_ones_go_by_the_name_that_takes_them(site: Any) -> None:
    said = await site.ann.post("/jobs", json={"task": "echo", "args": [1, 2, 3], "kwargs": {"password": "x"}})
    assert said.json()["args"] == [1, 2, 3]


async def test_deep_arguments_can_be_read(site: Any) -> None:
    deep: Any = "bottom"
    for _ in range(150):
        deep = [deep]
    said = await site.ann.post("/jobs", json={"task": "echo", "args": [deep]})
    assert said.status_code == 202
    assert "nested too deeply to be shown" in (await site.ann.get("/jobs")).text


async def test_a_token_reads_its_one_job(site: Any) -> None:
    job, other = await site.enqueue(), await site.enqueue()
    token = (await site.ann.post(f"/jobs/{job.id}/token", json={"expires": 60})).json()["token"]
    nobody = site.by(None)
    assert (await nobody.get(f"/jobs/{job.id}", params={"token": token})).json()["id"] == job.id
    assert (await nobody.get(f"/jobs/{job.id}", headers={"authorization": f"Bearer {token}"})).status_code == 200
    assert (await nobody.get(f"/jobs/{job.id}", params={"token": token})).json()["key"] is None
    assert (await nobody.get(f"/jobs/{other.id}", params={"token": token})).status_code == 404
    for path in ("/jobs", "/queues", "/stats", "/workflows", "/schedules", "/workers", "/metrics", "/openapi.json"):
        assert (await nobody.get(path, params={"token": token})).status_code == 401, path
    for path in (f"/jobs/{job.id}/cancel", f"/jobs/{job.id}/retry", f"/jobs/{job.id}/token", "/jobs/cancel", "/jobs"):
        assert (await nobody.post(path, params={"token": token})).status_code == 401, path
    assert (await site.bob.get(f"/jobs/{job.id}", params={"token": token})).status_code == 200
    assert (await site.bob.post(f"/jobs/{job.id}/cancel", params={"token": token})).status_code == 404
    assert (await site.bob.post(f"/jobs/{job.id}/token", params={"token": token})).status_code == 404
    assert (await site.app.jobs.aget(job.id)).state is State.QUEUED


async def test_many_jobs_at_once(site: Any) -> None:
    for n in range(3):
        await site.enqueue(args=(n,), options={"queue": "mail"})
    theirs = await site.enqueue("bob", options={"queue": "mail"})
    which = {"filter": {"queue": "mail"}}
    assert (await site.ann.post("/jobs/cancel", json={**which, "dry_run": True})).json() == {"count": 3}
    assert (await site.ann.post("/jobs/cancel", json={**which, "reason": "enough"})).json() == {"count": 3}
    assert (await site.ann.post("/jobs/cancel", json=which)).json() == {"count": 0}
    assert (await site.app.jobs.aget(theirs.id)).state is State.QUEUED
    assert (await site.ann.post("/jobs/retry", json={"filter": {"state": ["cancelled", "failed"]}})).json() == {
        "count": 3
    }
    assert (await site.ann.post("/jobs/delete", json={"filter": {"owner": "bob"}})).json() == {"count": 0}
    assert (await site.ann.post("/jobs/delete", json={"filter": {"ids": [theirs.id]}})).json() == {"count": 0}
    assert (await site.ann.post("/jobs/delete", json=which)).json() == {"count": 3}
    assert (await site.admin.post("/jobs/delete", json=which)).json() == {"count": 1}
    entries = await site.app.engine.arun(site.app.engine.connection.store.audit.read())
    assert [(entry.who, entry.action, entry.count) for entry in entries][:2] == [
        ("admin", "delete jobs", 1),
        ("ann", "delete jobs", 3),
    ]


async def test_many_jobs_need_a_condition(site: Any) -> None:
    await site.enqueue()
    for body in (
        {},
        {"filter": {}},
        {"filter": {"nonsense": 1}},
        {"filter": {"state": "gone"}},
        {"filter": {"queue": "a\x00"}},
    ):
        assert (await site.admin.post("/jobs/delete", json=body)).status_code == 422, body
    assert (await site.admin.get("/jobs")).json()["jobs"]
