"""What admins do over HTTP: queues, schedules, workers; and workflows, which are their owners' as well."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from stoker import Workflow, batch, chain
from stoker.bound import BoundCall
from stoker.job import State
from stoker.store import Command

pytestmark = pytest.mark.asyncio

ODD = "mail/high 5%·💥"
"""A name that needs quoting."""


async def audit(site: Any) -> list[tuple[str, str, str]]:
    entries = await site.app.engine.arun(site.app.engine.connection.store.audit.read())
    return [(entry.who, entry.action, entry.target) for entry in entries]


# --- queues -----------------------------------------------------------------------------------------------------------


async def test_queues_as_admins_see_them(site: Any) -> None:
    await site.enqueue(options={"queue": "mail"})
    await site.enqueue("bob", options={"queue": "mail", "delay": 60})
    [queue] = (await site.admin.get("/queues")).json()["queues"]
    assert (queue["name"], queue["queued"], queue["scheduled"], queue["paused"]) == ("mail", 1, 1, False)
    assert queue["limit"] == {"concurrency": None, "rate": None, "fair": None}
    assert queue["oldest"] >= 0


async def test_queues_as_others_see_them(site: Any) -> None:
    await site.enqueue(options={"queue": "mail"})
    await site.enqueue("bob", options={"queue": "mail"})
    await site.enqueue("bob", options={"queue": "theirs"})
    done = await site.enqueue(options={"queue": "over"})
    await site.app.jobs.acancel(done.id)
    counts = {"waiting": 0, "scheduled": 0, "queued": 1, "processing": 0}
    assert (await site.ann.get("/queues")).json() == {"queues": [{"name": "mail", **counts}]}


@pytest.mark.parametrize("name", ["mail", ODD])
async def test_pause_resume_and_limit(site: Any, name: str) -> None:
    path = f"/queues/{quote(name, safe='')}"
    job = await site.enqueue(options={"queue": name})
    assert (await site.admin.post(f"{path}/pause")).json()["paused"] is True
    await site.work()
    assert (await site.app.jobs.aget(job.id)).state is State.QUEUED
    assert (await site.admin.post(f"{path}/resume")).json()["paused"] is False
    said = await site.admin.post(f"{path}/limit", json={"concurrency": 5, "rate": "100/m", "fair": "owner"})
    assert said.json()["limit"] == {"concurrency": 5, "rate": "100/m", "fair": "owner"}
    assert (await site.admin.post(f"{path}/limit")).json()["limit"] == {"concurrency": None, "rate": None, "fair": None}
    did = ["limit queue", "limit queue", "resume queue", "pause queue"]
    assert await audit(site) == [("admin", action, name) for action in did]
    await site.work()
    assert (await site.app.jobs.aget(job.id)).state is State.COMPLETED


@pytest.mark.parametrize(
    "body",
    [
        *({"concurrency": value} for value in (0, -1, "5", 1.5, True)),
        *({"rate": value} for value in ("fast", "0/s", 5, "1/0s", "100")),
        *({"fair": value} for value in ("nobody", 1, "")),
        {"more": 1},
    ],
    ids=str,
)
async def test_limits_that_are_none(memory_site: Any, body: Any) -> None:
    assert (await memory_site.admin.post("/queues/mail/limit", json=body)).status_code == 422


@pytest.mark.parametrize("name", ["x" * 256, "%00", "a%00b"])
async def test_names_that_no_queue_has(site: Any, name: str) -> None:
    assert (await site.admin.post(f"/queues/{name}/pause")).status_code == 422


# --- schedules --------------------------------------------------------------------------------------------------------


async def test_a_schedule_from_its_making_to_its_end(site: Any) -> None:
    body = {"expression": "every day at 03:00", "task": "add", "args": [1], "name": ODD, "tz": "Europe/Berlin"}
    made = await site.admin.post("/schedules", json={**body, "options": {"queue": "mail"}, "kwargs": {"b": 2}})
    assert made.status_code == 201, made.text
    path = made.headers["location"]
    assert path == f"/schedules/{quote(ODD, safe='')}"
    record = (await site.admin.get(path)).json()
    assert record == made.json()
    assert (record["task"], record["queue"], record["args"], record["kwargs"]) == ("jobs.add", "mail", [1], {"b": 2})
    assert [one["name"] for one in (await site.admin.get("/schedules")).json()["schedules"]] == [ODD]
    assert (await site.admin.post(f"{path}/pause")).json()["state"] == "paused"
    assert (await site.admin.post(f"{path}/resume")).json()["state"] == "active"
    ran = await site.admin.post(f"{path}/run")
    job = (await site.admin.get(ran.headers["location"])).json()
    assert (ran.status_code, job["id"], job["schedule"], job["queue"]) == (202, ran.json()["job"], ODD, "mail")
    assert (await site.admin.delete(path)).status_code == 204
    assert (await site.admin.delete(path)).status_code == 404
    assert (await site.admin.get(path)).status_code == 404
    did = ["remove", "remove", "run", "resume", "pause", "add"]
    assert await audit(site) == [("admin", f"{verb} schedule", ODD) for verb in did]


async def test_schedules_that_cannot_be_made(site: Any) -> None:
    good = {"expression": "every hour", "task": "add", "args": [1]}
    for wrong in (
        *({"expression": text} for text in ("", "now and then", "* * *", "x" * 501, 1, None)),
        *({"task": name} for name in (1, None)),
        *({"args": args} for args in ([], ["x"], "x", {})),
        *({"name": name} for name in ("", " ", "a\x00", "x" * 256, 1)),
        *({"tz": tz} for tz in ("Mars", "../../etc/passwd", "a\x00", "", 1)),
        *({"jitter": jitter} for jitter in (-1, 1e300, "x", None)),
        *({"start": start} for start in ("soon", "2030-01-01T00:00:00", 1, "9999-12-31T23:59:59-14:00")),
        {"start": "2030-01-01T00:00:00Z", "end": "2029-01-01T00:00:00Z"},
        *({"misfire": one} for one in ("maybe", 1, None)),
        *({"overlap": one} for one in ("maybe", 1, None)),
        {"run_on_start": "yes"},
        *({"options": options} for options in ({"delay": 1}, {"nonsense": 1}, {"priority": "x"}, [], None)),
        *({"task": "picky", "args": args} for args in ([1], [{}])),
        {"more": 1},
    ):
        said = await site.admin.post("/schedules", json={**good, **wrong})
        assert said.status_code == 422, (wrong, said.text)
    assert (await site.admin.post("/schedules", json={**good, "task": "nothing"})).status_code == 404
    assert (await site.admin.get("/schedules")).json() == {"schedules": []}
    assert await audit(site) == []


async def test_a_declared_schedule_is_changed_where_it_is_declared(memory_site: Any) -> None:
    memory_site.app.schedules.hourly("jobs.hidden", name="mine")
    said = await memory_site.admin.post(
        "/schedules", json={"expression": "every day", "task": "hidden", "name": "mine"}
    )
    assert said.status_code == 422
    assert "declared" in said.json()["detail"]


async def test_secrets_of_schedules_are_not_shown(memory_site: Any) -> None:
    body = {"expression": "every day", "task": "shared", "args": ["CANARY"], "name": "s"}
    assert "CANARY" not in (await memory_site.admin.post("/schedules", json=body)).text
    assert "CANARY" not in (await memory_site.admin.get("/schedules")).text


# --- workers ----------------------------------------------------------------------------------------------------------


async def test_workers(site: Any) -> None:
    await site.some_worker()
    [worker] = (await site.admin.get("/workers")).json()["workers"]
    assert (worker["id"], worker["alive"], worker["concurrency"], worker["command"]) == ("w1", True, 3, None)
    for verb, command in (("quiet", Command.QUIET), ("wake", None), ("stop", Command.STOP)):
        said = await site.admin.post(f"/workers/w1/{verb}")
        assert (said.status_code, said.json()) == (200, {"worker": "w1", "command": command})
        assert (await site.app.workers.alist())[0].command is command
        assert (await site.admin.post(f"/workers/w2/{verb}")).status_code == 404
    assert [said[1:] for said in await audit(site)] == [
        (f"{verb} worker", id) for verb in ("stop", "wake", "quiet") for id in ("w2", "w1")
    ]


async def test_others_do_none_of_it(site: Any) -> None:
    await site.some_worker()
    await site.app.schedules.aadd("every day", "jobs.add", args=(1,), name="s")
    for method, path in (
        *(("POST", f"/queues/default/{verb}") for verb in ("pause", "resume", "limit")),
        *(("POST", f"/schedules/s/{verb}") for verb in ("pause", "resume", "run")),
        *(("POST", f"/workers/w1/{verb}") for verb in ("quiet", "wake", "stop")),
        *(("GET", "/schedules"), ("GET", "/schedules/s"), ("DELETE", "/schedules/s"), ("POST", "/schedules")),
        *(("GET", "/workers"), ("GET", "/metrics")),
    ):
        said = await site.ann.request(method, path, json={"expression": "every day", "task": "add"})
        assert (said.status_code, said.json()["type"]) == (403, "urn:stoker:admins-only"), path
    assert await audit(site) == []
    assert (await site.app.workers.alist())[0].command is None
    assert (await site.admin.get("/schedules/s")).json()["state"] == "active"


# --- workflows --------------------------------------------------------------------------------------------------------


def call(site: Any, owner: str, task: str = "jobs.add", *args: Any) -> BoundCall:
    found = site.app.registry.get(task)
    return BoundCall(site.app.engine, found, found.options.using({"owner": owner}), args or (1,), {})


async def pages(client: Any, limit: int) -> list[str]:
    found: list[str] = []
    before: str | None = ""
    while before is not None:
        page = (await client.get("/workflows", params={"limit": limit, "before": before})).json()
        assert len(page["workflows"]) <= limit
        found += [record["id"] for record in page["workflows"]]
        before = page["next"]
    return found


async def test_workflows_are_listed_page_by_page(site: Any) -> None:
    flows = []
    for n in range(5):
        flows.append((await batch([call(site, "ann") for _ in range(3)]).aenqueue()).id)
        await site.enqueue(args=(n,))
        await batch([call(site, "bob"), call(site, "bob")]).aenqueue()
    for limit in (1, 2, 3, 5, 50):
        assert await pages(site.ann, limit) == flows[::-1], limit
        assert len(await pages(site.admin, limit)) == 10


async def test_workflows_that_are_partly_anothers_are_not_there(site: Any) -> None:
    mixed = await batch([call(site, "ann"), call(site, "bob")]).aenqueue()
    mine = await chain(call(site, "ann"), call(site, "ann")).aenqueue()
    assert await pages(site.ann, 50) == [mine.id]
    assert await pages(site.bob, 50) == []
    assert await pages(site.admin, 50) == [mine.id, mixed.id]
    for client in (site.ann, site.bob):
        for said in (
            await client.get(f"/workflows/{mixed.id}"),
            await client.post(f"/workflows/{mixed.id}/cancel"),
            await client.post(f"/workflows/{mixed.id}/retry"),
        ):
            assert said.status_code == 404
    assert (await site.admin.get(f"/workflows/{mixed.id}")).json()["counts"] == {"queued": 2}


async def test_a_long_list_of_ones_jobs_is_looked_through_bit_by_bit(memory_site: Any, monkeypatch: Any) -> None:
    from stoker.web import reach

    monkeypatch.setattr(reach, "_LOOKED", 4)
    flow = (await batch([call(memory_site, "ann"), call(memory_site, "ann")]).aenqueue()).id
    for n in range(9):
        await memory_site.enqueue(args=(n,))
    first = (await memory_site.ann.get("/workflows")).json()
    assert first["workflows"] == []
    assert first["next"] is not None, "an empty page is not the last one"
    assert await pages(memory_site.ann, 5) == [flow]


async def test_cancel_and_retry_a_workflow(site: Any) -> None:
    flow = Workflow()
    first = flow.add(call(site, "ann"))
    second = flow.add(call(site, "ann", "jobs.boom", "no"), after=first)
    third = flow.add(call(site, "ann"), after=second)
    await flow.aenqueue()
    path = f"/workflows/{flow.id}"
    assert (await site.ann.get(path)).json()["counts"] == {"queued": 1, "waiting": 2}
    assert (await site.ann.post(f"{path}/cancel", json={"reason": "a\x00"})).json() == {"count": 3}
    assert (await site.ann.post(f"{path}/retry")).json() == {"count": 3}
    await site.work()
    assert (await site.ann.get(path)).json()["state"] == "failed"
    said = await site.ann.post(f"{path}/retry", json={"step": third.id})
    assert (said.status_code, "which failed: retry from that step on" in said.json()["detail"]) == (422, True)
    alone = f"/jobs/{third.id}/retry"
    for person, name in ((site.ann, ""), (site.admin, second.id)):  # to whom it may not be shown, it is not named
        said = await person.post(alone)
        assert (said.status_code, said.json()["type"]) == (422, "urn:stoker:invalid-workflow"), said.text
        assert name in said.json()["detail"]
        assert (second.id in said.json()["detail"]) == bool(name)
    assert (await site.ann.post(f"{path}/retry", json={"step": second.id})).json() == {"count": 2}
    theirs = await site.enqueue("bob")
    for step in (theirs.id, "nothing", "a\x00", "x" * 300):
        said = await site.ann.post(f"{path}/retry", json={"step": step})
        assert (said.status_code, said.json()["type"]) == (422, "urn:stoker:invalid-workflow"), said.text
    for body in ({"step": 1}, {"more": 1}, []):
        assert (await site.ann.post(f"{path}/retry", json=body)).status_code == 422
