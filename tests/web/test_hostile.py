"""Visitors who have leave to be here, and want more than is theirs: keys, places, time."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from stoker import Stoker, Workflow
from stoker.bound import BoundCall
from stoker.errors import TookTooLong
from stoker.job import Job
from stoker.plan import Plan, Statement, Steps
from stoker.web import jobs, pieces, reach
from stoker.web.answers import Answers
from stoker.web.follower import Follower, Sign, Watched
from stoker.web.news import News
from web.conftest import Site
from web.pages import parsed, post

pytestmark = pytest.mark.asyncio

LONG = 120.0
"""Seconds, more than the server may take to say that it is ready."""


async def test_a_token_shows_nobody_the_key(memory_site: Any) -> None:
    made = (await memory_site.ann.post("/jobs", json={"task": "jobs.add", "args": [1], "options": {"key": "k"}})).json()
    token = (await memory_site.ann.post(f"/jobs/{made['id']}/token")).json()["token"]
    keys = {}
    for who in ("ann", "bob", None):
        answer = await memory_site.by(who).get(f"/jobs/{made['id']}", params={"token": token})
        keys[who] = answer.json()["key"]
    assert keys == {"ann": "k", "bob": None, None: None}


@pytest.mark.parametrize(
    ("query", "filter", "count"),
    [
        ("older_than=86400", "older_than=86400", 0),
        ("state=failed&state=queued", "state=failed%2Cqueued", 2),
        ("queue=default", "queue=default", 3),
    ],
)
async def test_all_that_match_are_those_that_the_list_shows(
    memory_site: Any, query: str, filter: str, count: int
) -> None:
    for _ in range(2):
        await memory_site.enqueue("ann")
    await memory_site.enqueue("ann", options={"delay": 3600})
    page = parsed(await memory_site.ann.get(f"/ui/jobs?{query}"))
    assert len(page.all("input", name="id")) == count
    told = [field["value"] for field in page.all("input", name="filter")]
    assert told == [filter]
    asked = parsed(await post(memory_site.ann, "/ui/jobs/ask", {"action": "delete", "scope": "all", "filter": told[0]}))
    assert [field["value"] for field in asked.all("input", name="filter")] == ([filter] if count else [])
    await post(memory_site.ann, "/ui/jobs/do", {"action": "delete", "scope": "all", "filter": told[0]})
    assert len(await memory_site.app.jobs.alist()) == 3 - count


async def test_a_stream_that_is_to_end_ends_whatever_comes_after(memory_site: Any) -> None:
    job: Job = await memory_site.enqueue("ann")
    follower = Follower(Watched(News(job)), None)
    follower.tell(Sign.CLOSED)  # its life is over, while it still sends
    follower.tell(Sign.TROUBLE)
    follower.tell()
    assert isinstance(await follower.next(1), News)
    assert await follower.next(1) is Sign.CLOSED


async def test_half_a_million_numbers_are_shown_without_a_call_for_each(memory_site: Any) -> None:
    presenter = memory_site.web.state.desk.presenter
    calls = 0
    hide = presenter._hide

    def counting(value: Any, depth: int = 0) -> Any:
        nonlocal calls
        calls += 1
        return hide(value, depth)

    presenter._hide = counting
    many = list(range(10_000))
    assert presenter.arguments("jobs.echo", [[many, {"a": many, "password": many}]], {"value": many}) == (
        [[many, {"a": many, "password": "[hidden]"}]],
        {"value": many},
    )
    assert calls < 20


async def test_a_page_of_large_records_is_read_in_pieces(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "ROOM", 200_000)
    monkeypatch.setattr(jobs, "ROOM", 200_000)
    large = "x" * 50_000
    made = [(await site.enqueue("ann", "jobs.echo", (large,))).id for _ in range(25)]
    read: list[int] = []
    ask = Answers.ask

    async def counting(answers: Answers, plan: Plan[Any], within: float = 2.0) -> Any:
        answer = await ask(answers, plan, within)
        if plan.name == "find":
            read.append(len(answer))
        return answer

    monkeypatch.setattr(Answers, "ask", counting)
    met: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = (await site.ann.get("/jobs", params={"limit": "25", **before})).json()
        assert 0 < len(page["jobs"]) <= 4
        assert page["jobs"][0]["args"] == [large]
        met += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert met == made[::-1]
    assert max(read) <= 16
    read.clear()
    shown = parsed(await site.ann.get("/ui/jobs"))
    assert [field["value"] for field in shown.all("input", name="id")] == made[::-1]
    assert read
    assert max(read) <= 16


async def test_searches_do_not_make_the_server_look_dead(tmp_path: Path, unhurried: None) -> None:
    app = Stoker(f"sqlite:///{tmp_path}/jobs.db")
    site = Site(app, AsyncExitStack())
    ready = threading.Event()

    def search() -> Plan[Any]:
        def steps() -> Steps[None]:
            ready.wait(LONG)
            yield Statement("SELECT 1")

        return Plan(steps, name="find", writes=False, wakes=False)

    answers = site.web.state.desk.answers
    searches = [asyncio.ensure_future(answers.ask(search(), LONG)) for _ in range(8)]
    for _ in range(10):
        await asyncio.sleep(0)
    try:
        answer = await site.ann.get("/health/ready")
        assert answer.status_code == 200, answer.text
    finally:
        ready.set()
        await asyncio.gather(*searches)
        await app.aclose()


async def test_a_page_of_workflows_asks_about_so_many(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_ASKED", 3)
    add = site.app.registry.get("jobs.add")
    made = []
    for number in range(8):
        flow = Workflow()
        for owner in ("bob" if number % 2 else "ann", "ann"):
            flow.add(BoundCall(site.app.engine, add, add.options.using({"owner": owner}), (1,), {}))
        made.append((await flow.aenqueue()).id)
    asked = 0
    whole = reach.Reach._newest_of_whole

    async def counting(own: reach.Reach, id: str) -> str | None:
        nonlocal asked
        asked += 1
        return await whole(own, id)

    monkeypatch.setattr(reach.Reach, "_newest_of_whole", counting)
    met: list[str] = []
    after: dict[str, str] = {}
    for _ in range(10):
        asked = 0
        page = (await site.ann.get("/workflows", params=after)).json()
        assert asked <= 3
        met += [flow["id"] for flow in page["workflows"]]
        if page["next"] is None:
            break
        after = {"before": page["next"]}
    assert met == made[-2::-2]


async def test_a_retry_does_not_name_anothers_job(site: Any) -> None:
    mine = await site.enqueue("ann", options={"key": "report"})
    await site.app.jobs.acancel(mine.id)
    theirs = await site.enqueue("bob", options={"key": "report"})
    for said in (
        await site.ann.post(f"/jobs/{mine.id}/retry"),
        await post(site.ann, f"/ui/jobs/{mine.id}/retry", {}),
    ):
        assert said.status_code == 409
        assert theirs.id not in said.text
    told = (await site.admin.post(f"/jobs/{mine.id}/retry")).json()
    assert (told["type"], theirs.id in told["detail"]) == ("urn:stoker:key-taken", True)


async def test_a_preview_of_an_act_is_given_up_in_time(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(*_: Any) -> int:
        raise TookTooLong("it takes too long")

    monkeypatch.setattr(memory_site.web.state.desk.answers, "ask", late)
    said = await memory_site.ann.post("/jobs/cancel", json={"filter": {"text": "zzz"}, "dry_run": True})
    assert (said.status_code, said.json()["type"]) == (503, "urn:stoker:took-too-long")


async def test_nobody_fills_the_audit_log_with_words(memory_site: Any) -> None:
    for body in (
        {"filter": {"queue": "x"}, "reason": "x" * 1_000_000},
        {"filter": {"ids": ["x" * 900] * 9}, "reason": "é" * 1_000},
    ):
        await memory_site.ann.post("/jobs/cancel", json=body)
    await memory_site.admin.post("/queues/mail/limit", json={"rate": "x" * 100_000})
    entries = await memory_site.app.engine.arun(memory_site.app.engine.connection.store.audit.read())
    assert len(entries) == 3
    assert all(len(entry.target) + len(entry.detail) < 5_000 for entry in entries)


async def test_conditions_that_say_nothing_are_none(site: Any) -> None:
    """An empty text occurs in the arguments of every job."""
    job = await site.enqueue()
    for empty in ({"text": ""}, {"queue": ""}, {"tag": ""}):
        said = await site.admin.post("/jobs/delete", json={"filter": empty})
        assert (said.status_code, "is empty: say what it must be" in said.json()["detail"]) == (422, True)
    for nothing in ({"ids": []}, {"state": []}):
        assert (await site.admin.post("/jobs/delete", json={"filter": nothing})).json() == {"count": 0}
    assert (await site.app.jobs.aget(job.id)).id == job.id
    entries = await site.app.engine.arun(site.app.engine.connection.store.audit.read())
    assert {entry.target for entry in entries} == {"no jobs"}


@pytest.mark.parametrize(
    "path", ["/ui/audit?before=%00", "/ui/schedules/one?name=%00", "/ui/schedules/change?name=a%00"]
)
async def test_names_that_no_store_can_look_for(site: Any, path: str) -> None:
    assert (await site.admin.get(path)).status_code in {404, 422}


async def test_arguments_too_deep_to_be_looked_through(site: Any) -> None:
    job = await site.enqueue("ann", "jobs.echo", (1,))
    form = {"args": "[" * 2_000 + "1" + "]" * 2_000, "kwargs": "{}"}
    said = await post(site.ann, f"/ui/jobs/{job.id}/again", form)
    assert (said.status_code, "nested too deeply" in said.text) == (422, True)


async def test_the_end_of_the_calendar_is_no_error(memory_site: Any) -> None:
    last = {"expression": "every 1 second", "task": "add", "args": [1], "tz": "Asia/Tokyo", "name": "late"}
    made = await memory_site.admin.post("/schedules", json={**last, "start": "9999-12-31T23:59:50Z"})
    assert made.status_code == 201
    for path in ("/ui/schedules", "/ui/schedules/one?name=late", "/ui/schedules/change?name=late"):
        assert (await memory_site.admin.get(path)).status_code == 200, path


async def test_a_schedule_whose_key_is_held_makes_no_job(site: Any) -> None:
    body = {"expression": "every day", "task": "add", "args": [1], "name": "s", "options": {"key": "held"}}
    assert (await site.admin.post("/schedules", json=body)).status_code == 201
    first = (await site.admin.post("/schedules/s/run")).json()["job"]
    second = await site.admin.post("/schedules/s/run")
    assert (second.status_code, second.json()["type"]) == (409, "urn:stoker:in-place-of-another")
    assert [job.id for job in await site.app.jobs.alist()] == [first]
    entries = await site.app.engine.arun(site.app.engine.connection.store.audit.read(2))
    assert [(entry.action, entry.count) for entry in entries] == [("run schedule", 0), ("run schedule", 1)]
