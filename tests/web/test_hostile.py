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
from stoker.job import Job
from stoker.plan import Plan, Statement, Steps
from stoker.web import Identity, jobs, pieces, reach
from stoker.web.answers import Answers
from stoker.web.dashboard import live
from stoker.web.dashboard.live import Live
from stoker.web.follower import Follower, Sign, Watched
from stoker.web.news import News
from stoker.web.problem import Problem
from web.conftest import Site
from web.pages import parsed, post

pytestmark = pytest.mark.asyncio


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


async def test_no_identity_takes_the_live_pages_of_all(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_MOST_OF_ONE", 2)
    answer = asyncio.Event()

    async def look(*_: Any) -> dict[str, str]:
        await answer.wait()
        return {}

    pages = Live(look)

    class Request:
        def __init__(self, owner: str, page: str) -> None:
            self.query_params = {"page": page}
            self.state = type("State", (), {"reach": type("Reach", (), {"who": Identity(owner)})})

    async def watch(owner: str, page: str) -> asyncio.Task[Any]:
        response: Any = await pages.stream(Request(owner, page))  # type: ignore[arg-type]
        parts = response.body_iterator
        await anext(parts)  # the head; with the next one it watches
        return asyncio.ensure_future(anext(parts))

    watching = [await watch("ann", "ui/jobs"), await watch("ann", "ui/jobs?state=failed")]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await watch("ann", "ui/jobs?state=queued")
    assert refused.value.type == "too-many-streams"
    watching += [await watch("ann", "ui/jobs"), await watch("bob", "ui/jobs?state=queued")]
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)


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


async def test_searches_do_not_make_the_server_look_dead(tmp_path: Path) -> None:
    app = Stoker(f"sqlite:///{tmp_path}/jobs.db")
    site = Site(app, AsyncExitStack())
    ready = threading.Event()

    def search() -> Plan[Any]:
        def steps() -> Steps[None]:
            ready.wait(30)
            yield Statement("SELECT 1")

        return Plan(steps, name="find", writes=False, wakes=False)

    answers = site.web.state.desk.answers
    searches = [asyncio.ensure_future(answers.ask(search(), 30)) for _ in range(8)]
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
