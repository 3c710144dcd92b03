"""Queues, schedules, workflows, workers and the audit log on the dashboard: who may, what is done, what is kept."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from httpx import AsyncClient, Response
from msgspec.structs import replace

from stoker import Stoker, Workflow, batch, chain
from stoker.audit_store import Entry
from stoker.clock import SECOND
from stoker.job import State
from stoker.store import Command, Worker
from stoker.tally_store import Tally
from stoker.web import Identity
from stoker.web.assets import Assets
from stoker.web.dashboard.audit_log import AuditPages
from stoker.web.dashboard.csrf import Csrf
from stoker.web.dashboard.parts import dashboard
from stoker.web.dashboard.queues import QueuePages
from stoker.web.dashboard.schedules import SchedulePages
from stoker.web.dashboard.workers import WorkerPages
from stoker.web.dashboard.workflows import WorkflowPages
from stoker.web.identity import LOCAL
from stoker.web.reach import Reach
from web import pages
from web.pages import HTML, Parsed, check_harmless

pytestmark = pytest.mark.asyncio

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
PARTS = (QueuePages, SchedulePages, WorkflowPages, WorkerPages, AuditPages)
FOR_ADMINS = ("ui/queues", "ui/queues/limit?queue=mail", "ui/schedules", "ui/schedules/new", "ui/workers", "ui/audit")


async def get(client: AsyncClient, path: str) -> Response:
    return await client.get(f"/{path}", headers=HTML)


async def seen(client: AsyncClient, path: str) -> Parsed:
    answer = await get(client, path)
    assert answer.status_code == 200, answer.text
    return pages.parsed(answer)


async def post(site, path: str, who: Identity = LOCAL, **fields: Any) -> Response:
    """A form of the dashboard, sent by somebody whose page it stands on."""
    csrf = await Csrf(site.app.engine).token(who)
    client = site.admin if who.admin else site.by(who.owner)
    return await pages.post(client, f"/{path}", fields, csrf)


async def notice_of(site, answer: Response) -> str:
    """What the page says to which the answer leads."""
    assert answer.status_code == 303, answer.text
    page = await site.admin.get(str(answer.request.url.join(answer.headers["location"])), headers=HTML)
    found = re.search(r'class="notice".*?<span>(.*?)</span>', page.text, re.DOTALL)
    assert found, page.text
    return unescape(found[1])


async def audited(site) -> list[Entry]:
    store = site.app.engine.connection.store
    return [replace(entry, id="", at=0) for entry in await site.app.engine.arun(store.audit.read())]


def entry(action: str, target: str, count: int | None = None, detail: str | None = None) -> Entry:
    return Entry(id="", who="admin", action=action, target=target, count=count, detail=detail)


def errors(answer: Response) -> dict[str, str]:
    """What is wrong, by the field at which it is said."""
    assert answer.status_code == 422, answer.text
    found = re.findall(r'class="wrong" id="(\w+)-wrong">.*?<span class="said">(.*?)</span>', answer.text, re.DOTALL)
    return {field: unescape(text) for field, text in found}


async def flow_of(site, owner: str | None = "ann", failing: bool = True) -> str:
    """A workflow of two steps of which the first fails, and ran."""
    boom, add = bound(site.app, "jobs.boom"), bound(site.app, "jobs.add")
    first = boom if failing else add
    made = await chain(
        first.using(owner=owner).call(*([] if failing else [1])), add.using(owner=owner).call()
    ).aenqueue()
    await site.work()
    return made.id


def bound(app: Stoker, name: str) -> Any:
    from stoker.bound import BoundTask

    task = app.registry.get(name)
    return BoundTask(app, app.engine, task, task.options)


# --- who may see it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FOR_ADMINS)
async def test_these_pages_are_for_admins_only(memory_site, path: str):
    assert (await get(memory_site.admin, path)).status_code == 200
    assert (await get(memory_site.ann, path)).status_code == 403
    assert (await get(memory_site.by(None), path)).status_code == 401


@pytest.mark.parametrize("part", PARTS)
async def test_every_act_needs_a_token_a_right_and_a_server_that_may_change(memory_site, part: Any):
    flow = await flow_of(memory_site, None)
    await memory_site.some_worker("w1")
    made = await memory_site.app.schedules.aadd("@hourly", "jobs.add", name="nightly", args=[1])
    fields = {"queue": "mail", "name": "nightly", "worker": "w1", "sure": "yes", "expression": "@daily"}
    for act in part(memory_site.web.state.desk).posts:
        path = act.path.replace("{id}", flow)
        bare = await memory_site.admin.post(path, data=fields, headers=HTML)
        assert bare.status_code == 403
        assert "reload the page" in bare.text
        stolen = {"csrf": await Csrf(memory_site.app.engine).token(Identity("ann")), **fields}
        assert (await memory_site.admin.post(path, data=stolen, headers=HTML)).status_code == 403
        foreign = await post(memory_site, path[1:], Identity("bob"), **fields)
        assert foreign.status_code == (404 if part is WorkflowPages else 403)
        memory_site.serve(read_only=True)
        refused = await post(memory_site, path[1:], **fields)
        assert (refused.status_code, "read-only" in refused.text) == (403, True)
        memory_site.serve()
    assert await memory_site.app.queues.alist() == []
    assert await memory_site.app.schedules.alist() == [made]
    assert [worker.command for worker in await memory_site.app.workers.alist()] == [None]
    assert (await memory_site.app.workflows.aget(flow)).state is State.FAILED
    assert await audited(memory_site) == []


async def test_nothing_can_be_done_where_the_server_is_read_only(memory_site):
    flow = await busy(memory_site)
    paths = ("ui/queues", "ui/schedules", "ui/schedules/one?name=hourly", "ui/workers", f"ui/workflows/{flow}")
    for path in paths:
        assert (await seen(memory_site.admin, path)).posts != []
    memory_site.serve(read_only=True)
    for path in (*paths, "ui/schedules/new"):
        page = await seen(memory_site.admin, path)
        assert not [action for action in page.posts if "/new" not in action]
        assert "Pause" not in page.text
        assert "Make the schedule" not in page.text


async def busy(site) -> str:
    """Something on every page; the id of a workflow that can be retried."""
    await site.some_worker()
    await site.app.schedules.aadd("@hourly", "jobs.add", name="hourly", args=[1])
    flow = await flow_of(site)
    await site.enqueue()
    return flow


# --- what is shown ----------------------------------------------------------------------------------------------------


async def test_pages_on_every_store(site):
    flow = await busy(site)
    await site.app.queues.alimit("default", concurrency=5, rate="100/m", fair="owner")
    store = site.app.engine.connection.store
    await site.app.engine.arun(store.tallies.add([Tally(queue="mail", completed=70, failed=30)]))
    assert (await post(site, "ui/queues/pause", queue="default")).status_code == 303
    queues = await seen(site.admin, "ui/queues")
    for text in ("default", "paused", "5 at once", "100/m", "fair by owner", "mail", "70 done", "30 failed"):
        assert text in queues.text
    assert "every hour at :00" in (await seen(site.admin, "ui/schedules")).text
    assert (await seen(site.admin, "ui/schedules/one?name=hourly")).all("bdi", title="jobs.add")
    assert "0 of 3" in (await seen(site.admin, "ui/workers")).text
    assert flow[-8:] in (await seen(site.admin, "ui/workflows")).text
    one = await seen(site.admin, f"ui/workflows/{flow}")
    assert "boom" in one.text
    assert "Retry from here" in one.text
    assert "pause queue" in (await seen(site.admin, "ui/audit")).text


async def test_names_that_attack_are_only_text(memory_site):
    app = memory_site.app

    @app.task(name=EVIL, queue=EVIL)
    def evil(*args: Any, **kwargs: Any) -> None: ...

    flow = Workflow()
    flow.add(evil.call(), after=[flow.add(evil.call())])
    wide = await batch([evil.call(n) for n in range(40)]).aenqueue()
    await flow.aenqueue()
    await app.schedules.aadd("every 5 minutes", EVIL, name=EVIL, args=[EVIL], kwargs={EVIL: EVIL})
    await app.schedules.aadd("every 5 minutes", EVIL, name="plain", args=[EVIL])
    worker = Worker(id=EVIL, host=EVIL, pid=1, version=EVIL, queues=(EVIL,), tags=(EVIL,), concurrency=2)
    engine = app.engine
    await engine.arun(engine.connection.store.register(worker, 60 * SECOND))
    async with memory_site.web.state.desk.audit.noted(Identity(EVIL), "pause queue", EVIL, {EVIL: EVIL, "n": [EVIL]}):
        pass
    paths = ("ui/queues", "ui/schedules", "ui/workflows", "ui/workers", "ui/audit", f"ui/workflows/{wide.id}")
    for path in (*paths, f"ui/workflows/{flow.id}", "ui/schedules/new"):
        answer = await get(memory_site.admin, path)
        assert answer.status_code == 200, answer.text
        assert "<script>alert(1)" in only_text(answer).text, path
    queries = {
        "ui/queues/limit": {"queue": EVIL},
        "ui/schedules/one": {"name": EVIL},
        "ui/schedules/change": {"name": EVIL},
    }
    for path, query in (*queries.items(), ("ui/schedules", {"text": EVIL, "after": EVIL})):
        answer = await memory_site.admin.get(f"/{path}", params=query, headers=HTML)
        assert answer.status_code == 200, answer.text
        only_text(answer)
    for path, fields in {
        "ui/queues/limit": {"queue": EVIL, "rate": EVIL, "concurrency": EVIL, "fair": EVIL},
        "ui/schedules/new": dict.fromkeys(("name", "expression", "task", "args", "tz", "misfire", "start"), EVIL),
        "ui/schedules/change": {"name": EVIL, "expression": EVIL, "kwargs": EVIL},
        "ui/schedules/remove": {"name": EVIL},
        "ui/workers/stop": {"worker": EVIL},
        f"ui/workflows/{flow.id}/cancel": {},
    }.items():
        only_text(await post(memory_site, path, **fields))


def only_text(answer: Response) -> Parsed:
    """The page, in which nothing runs, and no template was filled in by those whom it shows."""
    page = pages.parsed(answer)
    check_harmless(page)
    assert "49" not in [text.strip() for text in page.texts]
    return page


async def test_live_blocks_are_those_of_the_page(memory_site):
    flow = await busy(memory_site)
    frame = dashboard(memory_site.web.state.desk, Assets())
    paths = ("ui/queues", "ui/schedules", "ui/schedules/one?name=hourly", "ui/workers", "ui/workflows", "ui/audit")
    for path in (*paths, f"ui/workflows/{flow}"):
        blocks = await frame._look(Reach(memory_site.app, LOCAL), path)
        whole = (await get(memory_site.admin, path)).text
        page = Parsed(whole)
        for name, block in blocks.items():
            assert f'data-live="{name}"' in whole
            texts = [text.strip() for text in Parsed(block).texts if text.strip()]
            assert texts
            for text in texts:
                assert " ".join(text.split()) in page.text or re.search(r"\bnow\b|\d", text)  # but for times
        assert blocks


async def test_pages_of_nothing_say_how_to_begin(memory_site):
    for path, hint in {
        "ui/queues": "task.enqueue",
        "ui/schedules": "@app.task(schedule=",
        "ui/workflows": "chain(",
        "ui/workers": "stoker worker",
        "ui/audit": "written down here",
        "ui/schedules?text=nothing": "No schedule matches",
        "ui/workflows?before=0": "There is none on this page",
        "ui/audit?before=0": "There is nothing older",
    }.items():
        assert hint in (await seen(memory_site.admin, path)).text


async def test_forms_look_alike_to_those_who_hear_them(memory_site):
    old = await memory_site.enqueue()
    for path in ("ui/queues/limit?queue=mail", "ui/schedules/new", f"ui/jobs/{old.id}/again"):
        page = await seen(memory_site.admin, path)
        hints = {attrs["id"] for _, attrs in page.elements if attrs.get("class") == "hint"}
        told = {id for _, attrs in page.elements for id in attrs.get("aria-describedby", "").split()}
        assert hints == told != set()
        assert ("nav", {"class": "crumbs", "aria-label": "Breadcrumb"}) in page.elements


# --- queues -----------------------------------------------------------------------------------------------------------


async def test_a_queue_is_paused_and_resumed(memory_site):
    assert "paused" in await notice_of(memory_site, await post(memory_site, "ui/queues/pause", queue=" odd & "))
    [queue] = await memory_site.app.queues.alist()
    assert (queue.name, queue.paused) == (" odd & ", True)
    assert "goes on" in await notice_of(memory_site, await post(memory_site, "ui/queues/resume", queue=" odd & "))
    [queue] = await memory_site.app.queues.alist()
    assert not queue.paused
    assert await audited(memory_site) == [entry("resume queue", " odd & "), entry("pause queue", " odd & ")]
    assert (await post(memory_site, "ui/queues/pause", queue="")).status_code == 422
    assert (await post(memory_site, "ui/queues/pause", queue="q" * 256)).status_code == 422


async def test_limits_are_set_and_shown(memory_site):
    said = await post(memory_site, "ui/queues/limit", queue="mail", concurrency="5", rate="1/10s", fair="owner")
    assert await notice_of(memory_site, said) == "The queue mail lets through: 5 at once, 1/10s, fair by owner."
    page = await seen(memory_site.admin, "ui/queues/limit?queue=mail")
    assert [page.fields()[name] for name in ("concurrency", "rate")] == ["5", "1/10s"]
    assert page.selected == ["owner"]
    assert (await post(memory_site, "ui/queues/limit", queue="mail", fair="secret")).status_code == 303
    page = await seen(memory_site.admin, "ui/queues/limit?queue=mail")
    assert page.selected == ["secret"]
    assert (await post(memory_site, "ui/queues/limit", queue="mail")).status_code == 303
    [queue] = await memory_site.app.queues.alist()
    assert queue.limit.concurrency is queue.limit.rate is queue.limit.fair is None
    newest, *_, first = await audited(memory_site)
    assert newest.detail == '{"concurrency":null,"fair":null,"rate":null}'
    assert first == entry("limit queue", "mail", detail='{"concurrency":5,"fair":"owner","rate":"1/10s"}')


async def test_wrong_limits_are_told_at_their_fields_and_kept(memory_site):
    answer = await post(memory_site, "ui/queues/limit", queue="mail", concurrency="many", rate="lots", fair="owner")
    assert set(errors(answer)) == {"concurrency", "rate"}
    page = pages.parsed(answer)
    assert [page.fields()[name] for name in ("concurrency", "rate")] == ["many", "lots"]
    assert page.all("input", name="rate")[0]["aria-invalid"] == "true"
    assert set(errors(await post(memory_site, "ui/queues/limit", queue="mail", concurrency="0"))) == {"concurrency"}
    assert set(errors(await post(memory_site, "ui/queues/limit", queue="mail", fair="nobody"))) == {"fair"}
    assert await memory_site.app.queues.alist() == []
    [said] = await audited(memory_site)
    assert (said.action, said.target, "fair must be" in str(said.detail)) == ("limit queue", "mail", True)


# --- schedules --------------------------------------------------------------------------------------------------------

GOOD = {
    "name": "weekly report",
    "expression": "0 9 * * 1",
    "task": "jobs.echo",
    "args": '["all"]',
    "kwargs": '{"password": "hunter2", "kind": {"token": "t", "deep": [1, {"secret": 2}]}}',
    "tz": "Europe/Berlin",
    "queue": "reports",
    "priority": "7",
    "misfire": "skip",
    "overlap": "skip",
    "jitter": "1.5",
    "start": "2030-01-31 09:00",
    "end": "2031-01-31 09:00+02:00",
    "run_on_start": "yes",
}


async def test_a_schedule_is_made_shown_and_changed(memory_site):
    made = await post(memory_site, "ui/schedules/new", **GOOD)
    assert await notice_of(memory_site, made) == "The schedule weekly report is made."
    first = await memory_site.app.schedules.aget("weekly report")
    assert (first.expression, first.tz, first.queue, first.priority) == ("0 9 * * 1", "Europe/Berlin", "reports", 7)
    assert (first.misfire, first.overlap, first.jitter, first.run_on_start) == ("skip", "skip", 1.5, True)
    assert first.kwargs == {"password": "hunter2", "kind": {"token": "t", "deep": [1, {"secret": 2}]}}
    page = await get(memory_site.admin, "ui/schedules/one?name=weekly+report")
    assert "every Monday at 09:00" in page.text
    assert "hunter2" not in page.text

    form = await get(memory_site.admin, "ui/schedules/change?name=weekly+report")
    assert "hunter2" not in form.text
    assert "[hidden]" in form.text
    shown = filled(form.text)
    assert (shown["start"], shown["end"]) == ("2030-01-31T09:00:00+01:00", "2031-01-31T08:00:00+01:00")
    changed = await post(memory_site, "ui/schedules/change", **{**shown, "expression": "every day at 8:00"})
    assert await notice_of(memory_site, changed) == "The schedule weekly report is changed."
    second = await memory_site.app.schedules.aget("weekly report")
    assert second.expression == "every day at 8:00"
    assert replace(second, expression="", next_at=None) == replace(first, expression="", next_at=None)
    _, added = await audited(memory_site)
    said = json.loads(added.detail)
    assert (added.action, added.target) == ("add schedule", "weekly report")
    assert json.loads(said.pop("kwargs")) == {
        "password": "[hidden]",
        "kind": {"token": "[hidden]", "deep": [1, {"secret": "[hidden]"}]},
    }
    assert json.loads(said.pop("args")) == list(first.args)
    assert json.loads(said.pop("options")) == {"queue": "reports", "priority": 7}
    assert said == {
        "expression": "0 9 * * 1",
        "task": "jobs.echo",
        "tz": "Europe/Berlin",
        "start": "2030-01-31T09:00:00+01:00",
        "end": said["end"],
        "misfire": "skip",
        "overlap": "skip",
        "jitter": 1.5,
        "run_on_start": True,
    }
    assert (await audited(memory_site))[0].action == "change schedule"


def filled(html: str) -> dict[str, str]:
    """What a browser would send of the form."""
    fields = {
        attrs["name"]: attrs.get("value", "")
        for attrs in Parsed(html).all("input")
        if attrs.get("name") not in (None, "csrf") and (attrs["type"] != "checkbox" or "checked" in attrs)
    }
    for name in re.findall(r'<select id="(\w+)"', html):
        [select] = re.findall(rf'<select id="{name}".*?</select>', html, re.DOTALL)
        fields[name] = "".join(Parsed(select).selected)
    for name, text in re.findall(r'<textarea id="(\w+)".*?>(.*?)</textarea>', html, re.DOTALL):
        fields[name] = unescape(text)
    return fields


async def test_what_the_form_does_not_show_stays_as_it_is(memory_site):
    options = {"owner": "ann", "tags": ["a", "b"], "max_attempts": 4, "keep_for": 60, "key": "k", "meta": {"m": 1}}
    await memory_site.app.schedules.aadd("@daily", "jobs.add", name="mine", args=[1], options=options)
    form = await get(memory_site.admin, "ui/schedules/change?name=mine")
    assert (await post(memory_site, "ui/schedules/change", **{**filled(form.text), "args": "[2]"})).status_code == 303
    handle = await memory_site.app.schedules.arun_now("mine")
    job = await handle.arefresh()
    assert (job.args, job.owner, job.tags, job.max_attempts) == ([2], "ann", ("a", "b"), 4)
    assert (job.keep_for, job.key, job.meta) == (60, "k", {"m": 1})


async def test_a_schedule_whose_options_would_be_lost_is_not_changed_here(memory_site):
    await memory_site.app.schedules.aadd("@daily", "jobs.add", name="timed", args=[1], options={"timeout": 5})
    answer = await get(memory_site.admin, "ui/schedules/change?name=timed")
    assert (answer.status_code, "app.schedules.add" in answer.text) == (409, True)
    assert (await post(memory_site, "ui/schedules/change", name="timed", expression="@hourly")).status_code == 409


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("name", "", None),
        ("name", "n" * 256, "255"),
        ("expression", "every weakday at 9:00", "weakday"),
        ("expression", "", "a schedule is a text"),
        ("task", "jobs.nothing", "no task is called"),
        ("task", "", "choose the task"),
        ("args", "[1,", "not JSON"),
        ("args", '{"a": 1}', "a JSON list"),
        ("args", "[" * 5000, "not JSON"),
        ("kwargs", "[]", "a JSON object"),
        ("tz", "Europe/Berlim", "Europe/Berlin"),
        ("queue", "q" * 256, "255"),
        ("priority", "high", "a whole number"),
        ("priority", "101", "-100 to 100"),
        ("misfire", "never", "misfire must be"),
        ("overlap", "never", "overlap must be"),
        ("jitter", "long", "seconds"),
        ("jitter", "nan", "seconds"),
        ("jitter", "-1", "seconds"),
        ("start", "tomorrow", "2030-01-31 09:00"),
        ("start", "0001-01-01", "outside of the years"),
        ("end", "2029-01-31T09:00Z", "after start"),
    ],
)
async def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(
    memory_site, field: str, text: str, said: str | None
):
    given = {**GOOD, field: text}
    answer = await post(memory_site, "ui/schedules/new", **given)
    if said is None:
        assert answer.status_code == 303
        return
    assert said in errors(answer)[field]
    assert set(errors(answer)) == {field}
    shown = filled(answer.text)
    chosen = given if field not in ("misfire", "overlap") else {**given, field: ""}
    assert {name: shown[name] for name in GOOD} == chosen
    assert await memory_site.app.schedules.alist() == []
    assert await audited(memory_site) == []


async def test_arguments_that_do_not_fit_are_told_at_their_field(memory_site):
    answer = await post(memory_site, "ui/schedules/new", expression="@daily", task="jobs.add", args='["one"]')
    assert "'a'" in errors(answer)["args"] or "a:" in errors(answer)["args"] or "argument" in errors(answer)["args"]
    answer = await post(memory_site, "ui/schedules/new", expression="@daily", task="jobs.add")
    assert "args" in errors(answer)


async def test_a_taken_name_is_not_taken_over(memory_site):
    memory_site.app.schedules.cron("@daily", "jobs.add", name="declared", args=[1])
    for name in ("declared", "made"):
        await memory_site.app.schedules.aadd("@hourly", "jobs.add", name="made", args=[1])
        answer = await post(
            memory_site, "ui/schedules/new", expression="@weekly", task="jobs.add", args="[1]", name=name
        )
        assert "there is a schedule" in errors(answer).get("name", ""), errors(answer)
        assert (await memory_site.app.schedules.aget("made")).expression == "@hourly"
    assert (await get(memory_site.admin, "ui/schedules/change?name=declared")).status_code == 409
    assert (await get(memory_site.admin, "ui/schedules/change?name=nothing")).status_code == 404
    page = await seen(memory_site.admin, "ui/schedules/one?name=declared")
    assert "change it there" in page.text


async def test_next_times_are_told_before_it_is_made(memory_site):
    query = {"expression": "0 9 * * 1", "tz": "Europe/Berlin", "start": "2030-06-01T00:00Z"}
    answer = await memory_site.admin.get("/ui/schedules/preview", params=query, headers=HTML)
    assert re.findall(r'datetime="(2030[^"]+)" *>', answer.text)[:2] == [
        "2030-06-03T09:00:00+02:00",
        "2030-06-10T09:00:00+02:00",
    ]
    assert "every Monday at 09:00" in answer.text
    assert "<html" not in answer.text
    for first, start in (("03", "2030-06-03 09:00"), ("10", "2030-06-03 09:00:01"), ("10", "2030-06-03 07:01Z")):
        query["start"] = start  # by the zone's clocks, unless it says otherwise
        answer = await memory_site.admin.get("/ui/schedules/preview", params=query, headers=HTML)
        assert f'datetime="2030-06-{first}T09:00:00+02:00"' in answer.text.partition("</li>")[0]
    query["start"] = "0001-01-01"
    answer = await memory_site.admin.get("/ui/schedules/preview", params=query, headers=HTML)
    assert (answer.status_code, "every Monday" in answer.text) == (200, True)
    for wrong in ({"expression": "never ever"}, {"expression": "@daily", "tz": "Nowhere"}):
        answer = await memory_site.admin.get("/ui/schedules/preview", params=wrong, headers=HTML)
        assert 'class="wrong"' in answer.text
    looked = await post(memory_site, "ui/schedules/new", **{**GOOD, "args": "[", "look": "yes"})
    assert looked.status_code == 200
    assert "every Monday at 09:00" in looked.text
    assert filled(looked.text)["args"] == "["


async def test_a_schedule_is_run_paused_resumed_and_removed(memory_site):
    name = "a/b?c=d & e"
    await memory_site.app.schedules.aadd("@daily", "jobs.add", name=name, args=[1])
    ran = await post(memory_site, "ui/schedules/run", name=name)
    [job] = await memory_site.app.jobs.alist()
    assert job.schedule == name
    assert f"ui/jobs/{job.id}" in ran.headers["location"]
    assert "paused" in await notice_of(memory_site, await post(memory_site, "ui/schedules/pause", name=name))
    assert (await memory_site.app.schedules.aget(name)).state == "paused"
    resumed = await post(memory_site, "ui/schedules/resume", name=name, **{"from": "one"})
    assert "goes on" in await notice_of(memory_site, resumed)
    assert "/one?" in resumed.headers["location"]
    assert (await memory_site.app.schedules.aget(name)).state == "active"
    asked = await post(memory_site, "ui/schedules/remove", name=name)
    assert (asked.status_code, "data-question" in asked.text) == (200, True)
    assert (await memory_site.app.schedules.aget(name)).name == name
    assert "removed" in await notice_of(
        memory_site, await post(memory_site, "ui/schedules/remove", name=name, sure="yes")
    )
    assert await memory_site.app.schedules.alist() == []
    actions = [(one.action, one.target) for one in await audited(memory_site)]
    assert actions == [(f"{verb} schedule", name) for verb in ("remove", "resume", "pause", "run")]
    assert (await post(memory_site, "ui/schedules/run", name=name)).status_code == 404


async def test_schedules_are_searched_and_turned_over_page_by_page(memory_site):
    for number in range(60):
        await memory_site.app.schedules.aadd("@daily", "jobs.add", name=f"s{number:02}", args=[1])
    first = await get(memory_site.admin, "ui/schedules")
    assert ("s49" in first.text, "s50" in first.text) == (True, False)
    assert "after=s49" in first.text
    second = await get(memory_site.admin, "ui/schedules?after=s49")
    assert ("s49<" in second.text, "s50" in second.text) == (False, True)
    found = await get(memory_site.admin, "ui/schedules?text=S07")
    assert ("s07" in found.text, "s08" in found.text) == (True, False)


# --- workers ----------------------------------------------------------------------------------------------------------


async def test_workers_are_told_to_be_quiet_to_wake_and_to_stop(memory_site):
    await memory_site.some_worker("w1")
    store = memory_site.app.engine.connection.store

    async def told() -> Command | None:
        return (await memory_site.app.engine.arun(store.hear("w1"))).command

    for verb, command, word in (
        ("quiet", Command.QUIET, "quiet"),
        ("wake", None, "alive"),
        ("stop", Command.STOP, "stopping"),
    ):
        before = await told()
        if verb != "wake":
            asked = await post(memory_site, f"ui/workers/{verb}", worker="w1")
            assert (asked.status_code, "data-question" in asked.text) == (200, True)
            assert await told() is before
        assert "w1" in await notice_of(
            memory_site, await post(memory_site, f"ui/workers/{verb}", worker="w1", sure="yes")
        )
        assert await told() is command
        assert word in (await seen(memory_site.admin, "ui/workers")).text
    assert [one.action for one in await audited(memory_site)] == ["stop worker", "wake worker", "quiet worker"]


async def test_a_worker_that_is_gone_is_a_404_and_the_attempt_is_written_down(memory_site):
    for verb in ("quiet", "wake", "stop"):
        assert (await post(memory_site, f"ui/workers/{verb}", worker="nobody", sure="yes")).status_code == 404
        assert (await post(memory_site, f"ui/workers/{verb}", worker="nobody")).status_code == 404
    said = await audited(memory_site)
    assert [(one.action, one.target) for one in said] == [
        (f"{verb} worker", "nobody") for verb in ("stop", "wake", "wake", "quiet")
    ]
    assert all("no living worker has the id" in str(one.detail) for one in said)


async def test_a_dead_worker_is_shown_as_dead_and_cannot_be_told_anything(memory_site):
    worker = Worker(id="late", host="there", pid=1, version="0", concurrency=3)
    await memory_site.app.engine.arun(memory_site.app.engine.connection.store.register(worker, 0))
    page = await seen(memory_site.admin, "ui/workers")
    assert "dead" in page.text
    assert "Its lease ran out" in page.text
    assert page.posts == []


# --- workflows --------------------------------------------------------------------------------------------------------


async def test_an_owner_sees_workflows_all_of_whose_jobs_are_theirs(memory_site):
    mine, foreign = await flow_of(memory_site, "ann"), await flow_of(memory_site, "bob")
    add = bound(memory_site.app, "jobs.add")
    mixed = (await chain(add.using(owner="ann").call(1), add.using(owner="bob").call()).aenqueue()).id
    listed = (await seen(memory_site.ann, "ui/workflows")).text
    assert [id[-8:] in listed for id in (mine, foreign, mixed)] == [True, False, False]
    assert "boom" in (await seen(memory_site.ann, f"ui/workflows/{mine}")).text
    ann = Identity("ann")
    for other in (foreign, mixed, "nothing"):
        assert (await get(memory_site.ann, f"ui/workflows/{other}")).status_code == 404
        for verb in ("cancel", "retry"):
            assert (await post(memory_site, f"ui/workflows/{other}/{verb}", ann, sure="yes")).status_code == 404
    assert (await post(memory_site, f"ui/workflows/{mine}/retry", ann, sure="yes")).status_code == 303
    [said] = await audited(memory_site)
    assert (said.who, said.action, said.target, said.count) == ("ann", "retry workflow", mine, 2)


async def test_a_workflow_is_retried_and_cancelled_once_somebody_said_how_many(memory_site):
    flow = await flow_of(memory_site)
    asked = await post(memory_site, f"ui/workflows/{flow}/retry")
    assert "Retry 2 jobs?" in asked.text
    assert (await memory_site.app.workflows.aget(flow)).state is State.FAILED
    retried = await post(memory_site, f"ui/workflows/{flow}/retry", sure="yes")
    assert await notice_of(memory_site, retried) == "2 jobs are queued again."
    asked = await post(memory_site, f"ui/workflows/{flow}/cancel")
    assert "Cancel 2 jobs?" in asked.text
    assert (await memory_site.app.workflows.aget(flow)).state is State.QUEUED
    cancelled = await post(memory_site, f"ui/workflows/{flow}/cancel", sure="yes", reason="too late")
    assert "2 jobs are cancelled" in await notice_of(memory_site, cancelled)
    assert {job.error for job in await memory_site.app.jobs.alist(workflow=flow)} == {"too late"}
    assert (
        await notice_of(memory_site, await post(memory_site, f"ui/workflows/{flow}/cancel"))
        == "There is nothing to cancel."
    )
    assert await audited(memory_site) == [
        entry("cancel workflow", flow, 2, '{"reason":"too late"}'),
        entry("retry workflow", flow, 2),
    ]


async def test_a_workflow_is_retried_from_a_step_on(memory_site):
    flow = await flow_of(memory_site)
    second, first = [job.id for job in await memory_site.app.jobs.alist(workflow=flow)]
    page = await get(memory_site.admin, f"ui/workflows/{flow}")
    assert f'name="step" value="{first}"' in page.text
    assert f'name="step" value="{second}"' not in page.text, "it would miss the result of the first"
    refused = await post(memory_site, f"ui/workflows/{flow}/retry", step=second)
    assert (refused.status_code, "which failed: retry from that step on" in refused.text) == (422, True)
    assert "Retry 2 jobs?" in (await post(memory_site, f"ui/workflows/{flow}/retry", step=first)).text
    assert (await post(memory_site, f"ui/workflows/{flow}/retry", step=first, sure="yes")).status_code == 303
    assert (await memory_site.app.jobs.aget(first)).state is State.QUEUED
    assert (await memory_site.app.jobs.aget(second)).state is State.WAITING
    [said] = await audited(memory_site)
    assert said == entry("retry workflow", flow, 2, f'{{"step":"{first}"}}')
    answer = await post(memory_site, f"ui/workflows/{flow}/retry", step="elsewhere")
    assert (answer.status_code, "is not a step" in answer.text) == (422, True)


async def test_a_batch_of_ten_thousand_is_one_step_with_counts_and_lists(memory_site):
    add, echo = bound(memory_site.app, "jobs.add"), bound(memory_site.app, "jobs.echo")
    flow = await batch([add.call(n) for n in range(10_000)], then=echo.call("done")).aenqueue()
    page = await get(memory_site.admin, f"ui/workflows/{flow.id}")
    assert page.status_code == 200
    assert len(re.findall(r'<a class="node', page.text)) == 2
    assert "\N{MULTIPLICATION SIGN} 10,000" in page.text
    assert len(page.text) < 60_000
    assert f"ui/jobs?workflow={flow.id}&amp;task=jobs.add&amp;state=queued" in page.text


async def test_the_picture_changes_with_the_workflow(memory_site):
    add = bound(memory_site.app, "jobs.add")
    flow = await chain(add.call(1), add.call()).aenqueue()
    page = await get(memory_site.admin, f"ui/workflows/{flow.id}")
    assert ("n-queued" in page.text, "n-waiting" in page.text) == (True, True)
    pages = memory_site.web.state.desk
    assert pages.app is memory_site.app
    await memory_site.work()
    frame = dashboard(memory_site.web.state.desk, Assets())
    blocks = await frame._look(Reach(memory_site.app, LOCAL), f"ui/workflows/{flow.id}")
    assert blocks["graph"].count("n-completed") == 2


async def test_workflows_are_turned_over_page_by_page(memory_site):
    add = bound(memory_site.app, "jobs.add")
    ids = [(await chain(add.call(1), add.call()).aenqueue()).id for _ in range(3)]
    first = await get(memory_site.admin, "ui/workflows?limit=2")
    assert [id in first.text for id in ids] == [False, True, True]
    assert f"before={ids[1]}" in first.text
    second = await get(memory_site.admin, f"ui/workflows?limit=2&before={ids[1]}")
    assert [f'id="workflow-{id}"' in second.text for id in ids] == [True, False, False]


# --- the audit log ----------------------------------------------------------------------------------------------------


async def test_the_audit_log_is_turned_over_page_by_page(memory_site):
    audit = memory_site.web.state.desk.audit
    for number in range(150):
        async with audit.noted(LOCAL, "pause queue", f"q{number:03}") as note:
            note.count = number
    first = await get(memory_site.admin, "ui/audit")
    assert ("q149" in first.text, "q050" in first.text, "q049" in first.text) == (True, True, False)
    [before] = re.findall(r"ui/audit\?before=([^\"]+)\"", first.text)
    second = await get(memory_site.admin, f"ui/audit?before={before}")
    assert ("q050" in second.text, "q049" in second.text, "q000" in second.text) == (False, True, True)
    assert "before=" not in second.text.split('class="pages"')[1]
