"""Two owners: nothing of the one shows in any answer to the other, and nothing that the other asks for changes it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.routing import Route

from stoker import batch
from stoker.bound import BoundCall
from stoker.job import Job, Progress
from stoker.store import Routing, Want
from stoker.web.api import Api

pytestmark = pytest.mark.asyncio

CANARY = "CANARY"
UNKNOWN = "01890000-0000-7000-8000-000000000000"


class Theirs:
    """What another owner has: jobs in every state, and a workflow. Every text of theirs is the canary's."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.jobs: dict[str, str] = {}
        self.workflow = ""

    async def make(self) -> None:
        site, options = self.site, {"queue": f"q-{CANARY}", "tags": [f"t-{CANARY}"], "meta": {CANARY: CANARY}}
        self.jobs["completed"] = (await self._job("jobs.echo", (CANARY,), options)).id
        self.jobs["failed"] = (await self._job("jobs.boom", (f"error {CANARY}",), options)).id
        self.jobs["logged"] = (await self._job("jobs.noted", (), options)).id
        await site.work()
        self.jobs["cancelled"] = (await self._job("jobs.echo", (CANARY,), options)).id
        await site.app.jobs.acancel(self.jobs["cancelled"], reason=CANARY)
        self.jobs["processing"] = (await self._job("jobs.echo", (CANARY,), options)).id
        await self._begin()
        self.jobs["queued"] = (await self._job("jobs.echo", (CANARY,), {**options, "key": f"k-{CANARY}"})).id
        self.jobs["scheduled"] = (await self._job("jobs.echo", (CANARY,), {**options, "delay": 3600})).id
        found = site.app.registry.get("jobs.echo")
        call = BoundCall(site.app.engine, found, found.options.using({**options, "owner": CANARY}), (CANARY,), {})
        flow = await batch([call, call], then=call).aenqueue()
        self.workflow = flow.id
        for number, job in enumerate(await site.app.jobs.alist(workflow=flow.id)):
            self.jobs[f"step {number}"] = job.id

    async def _job(self, task: str, args: Any, options: Any) -> Job:
        return await self.site.enqueue(CANARY, task=task, args=args, options=options)

    async def _begin(self) -> None:
        store, run = self.site.app.engine.connection.store, self.site.app.engine.arun
        await self.site.some_worker()
        routing = Routing(self.site.app.registry.names)
        reply = await run(store.exchange("w1", (), (Want(None, 1),), routing, 1))
        [claim] = reply.claims
        await run(store.heartbeat("w1", [Progress(claim.ref, claim.fence, 0.5, f"message {CANARY}", None)]))

    async def records(self) -> list[Job]:
        return [await self.site.app.jobs.aget(id) for id in self.jobs.values()]


async def test_ids_of_others_are_as_unknown_ones(site: Any) -> None:
    theirs = Theirs(site)
    await theirs.make()
    before = await theirs.records()
    mine = (await site.enqueue("ann")).id
    ids = [*theirs.jobs.values(), theirs.workflow]
    assert {job.state.value for job in before} == {
        *("completed", "failed", "cancelled", "processing", "queued", "scheduled", "waiting"),
    }
    asked = 0
    for operation in Api(site.web.state.desk).operations:
        if "id" not in operation.parameters or operation.path.startswith("/workers"):
            continue
        unknown = await site.ann.request(operation.method, operation.address.format(id=UNKNOWN))
        assert unknown.status_code == 404, operation.path
        for id in ids:
            said = await site.ann.request(operation.method, operation.address.format(id=id))
            assert (said.status_code, said.text.replace(id, UNKNOWN)) == (404, unknown.text), operation.path
            assert dict(said.headers) == dict(unknown.headers), operation.path
            asked += 1
    assert asked >= 9 * len(ids)
    for body in ({"step": theirs.jobs["queued"]}, {"step": UNKNOWN}):
        own = await batch([step(site), step(site)]).aenqueue()
        said = await site.ann.post(f"/workflows/{own.id}/retry", json=body)
        assert said.json()["detail"] == f"{body['step']} is not a step of workflow {own.id}"
    assert await theirs.records() == before
    assert (await site.ann.get(f"/jobs/{mine}")).status_code == 200


def step(site: Any) -> BoundCall:
    found = site.app.registry.get("jobs.add")
    return BoundCall(site.app.engine, found, found.options.using({"owner": "ann"}), (1,), {})


async def test_what_is_listed_and_counted_is_ones_own(site: Any) -> None:
    theirs = Theirs(site)
    await theirs.make()
    mine = (await site.enqueue("ann")).id
    for path in ("/jobs", "/queues", "/stats", "/workflows", "/openapi.json"):
        said = await site.ann.get(path)
        assert said.status_code == 200
        assert CANARY not in said.text, path
        assert not any(id in said.text for id in (*theirs.jobs.values(), theirs.workflow)), path
    for params in (
        *({"owner": CANARY}, {"queue": f"q-{CANARY}"}, {"tag": f"t-{CANARY}"}, {"text": CANARY}),
        *(
            {"workflow": theirs.workflow},
            {"key": f"k-{CANARY}"},
            {"task": "jobs.echo"},
            {"owner": CANARY, "state": "failed"},
        ),
        *({"before": id} for id in theirs.jobs.values()),
    ):
        found = (await site.ann.get("/jobs", params=params)).json()
        assert {job["id"] for job in found["jobs"]} <= {mine}, params
        assert found["next"] is None
    assert (await site.ann.get("/jobs", params={"owner": CANARY})).json() == {"jobs": [], "next": None}
    assert (await site.ann.get("/stats")).json()["jobs"] == {"queued": 1}
    assert [queue["name"] for queue in (await site.ann.get("/queues")).json()["queues"]] == ["default"]
    assert (await site.ann.get("/workflows")).json() == {"workflows": [], "next": None}


async def test_nobody_changes_what_is_anothers(site: Any) -> None:
    theirs = Theirs(site)
    await theirs.make()
    before = await theirs.records()
    for verb in ("cancel", "retry", "delete"):
        for which in (
            *({"owner": CANARY}, {"queue": f"q-{CANARY}"}, {"text": CANARY}, {"workflow": theirs.workflow}),
            *({"ids": list(theirs.jobs.values())}, {"key": f"k-{CANARY}"}, {"older_than": 0}, {"tag": f"t-{CANARY}"}),
            {"state": ["queued", "failed", "processing", "completed"]},
        ):
            for dry_run in (True, False):
                said = await site.ann.post(f"/jobs/{verb}", json={"filter": which, "dry_run": dry_run})
                assert (said.status_code, said.json()) == (200, {"count": 0}), which
    assert await theirs.records() == before


async def test_a_key_of_anothers_is_free(site: Any) -> None:
    theirs = Theirs(site)
    await theirs.make()
    said = await site.ann.post("/jobs", json={"task": "add", "args": [1], "options": {"key": f"k-{CANARY}"}})
    assert (said.status_code, said.json()["owner"]) == (202, "ann")
    again = await site.by("eve").post("/jobs", json={"task": "echo"}, headers={"idempotency-key": f"k-{CANARY}"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "false")
    looks = {"key": f"{CANARY}·k-{CANARY}"}
    again = await site.by("eve").post("/jobs", json={"task": "echo", "options": looks})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "false")


async def test_a_web_socket_of_anothers_job_is_as_one_of_none(memory_site: Any) -> None:
    theirs = Theirs(memory_site)
    await theirs.make()
    closes = [await closing(memory_site, id) for id in (UNKNOWN, *theirs.jobs.values())]
    assert closes[0]["code"] == 4404
    assert all(close == closes[0] for close in closes)


async def closing(site: Any, id: str) -> Any:
    sent: list[Any] = []
    first = True

    async def receive() -> Any:
        nonlocal first
        if first:
            first = False
            return {"type": "websocket.connect"}
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append({**message, "reason": message.get("reason", "").replace(id, "ID")})

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "path": f"/jobs/{id}/ws",
        "raw_path": f"/jobs/{id}/ws".encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "ws",
        "client": ("127.0.0.1", 1),
        "subprotocols": [],
        "headers": [(b"host", b"testserver"), (b"x-user", b"ann")],
    }
    await asyncio.wait_for(site.web(scope, receive, send), 30)
    return sent[-1]


async def test_pages_show_nothing_of_anothers(site: Any) -> None:
    """Whatever pages there are: with ids of the other in their addresses, and with their filters."""
    theirs = Theirs(site)
    await theirs.make()
    await site.enqueue("ann")
    pages = [
        route.path
        for route in site.web.routes
        if isinstance(route, Route)
        and "GET" in (route.methods or ())
        and (route.path == "/" or route.path.startswith("/ui"))
    ]
    assert pages
    html = {"accept": "text/html"}
    for path in pages:
        if path == "/ui/live":
            continue
        ids = [*theirs.jobs.values(), theirs.workflow] if "{" in path else [""]
        for id in ids:
            address = path.replace("{id}", id).replace("{name:path}", id).replace("{name}", id).replace("{step}", id)
            assert "{" not in address, f"{path} has a parameter that this test does not know"
            said = await site.ann.get(address, headers=html)
            assert said.status_code < 500, (path, said.text[:500])
            assert CANARY not in said.text, path
            if id:
                assert said.status_code in (403, 404, 405), path
            else:
                assert not any(one in said.text for one in (*theirs.jobs.values(), theirs.workflow)), path
        for query in (f"owner={CANARY}", "text=e", "state=failed", f"workflow={theirs.workflow}"):
            said = await site.ann.get(f"{path}?{query}".replace("{id}", UNKNOWN), headers=html)
            assert not any(one in said.text for one in theirs.jobs.values()), (path, query)
