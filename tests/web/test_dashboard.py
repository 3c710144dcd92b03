"""The dashboard's frame, its first page, and the pages of jobs, as a browser gets them."""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from stoker import Cancel, Context, Stoker, Workflow
from stoker.errors import StoreUnavailable, TookTooLong
from stoker.job import Claim, Job, Outcome, State, Verdict
from stoker.plan import Plan
from stoker.store import Filter, Page, Routing, Want, Worker
from stoker.web import Identity, create
from web.pages import FORM, HTML, Parsed, check_harmless, parsed, post, token

pytestmark = pytest.mark.asyncio

TABS = ("/", "/ui/jobs", "/ui/queues", "/ui/schedules", "/ui/workflows", "/ui/workers", "/ui/audit")
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{1337*1337}}</textarea></title>"
BACKWARDS = "\u202egnp.exe\u2066"
LINK = "javascript:alert(1)"


async def jobs_of(site: Any, **facts: Any) -> list[Job]:
    return await site.app.engine.arun(site.app.engine.connection.store.find(Filter(**facts), Page(100)))


async def audit_of(site: Any) -> list[tuple[str, str, str, int | None]]:
    entries = await site.app.engine.arun(site.app.engine.connection.store.audit.read())
    return [(entry.who, entry.action, entry.target, entry.count) for entry in reversed(entries)]


# --- what others write is text ---------------------------------------------------------------------------------------


def declare_attacks(app: Stoker) -> None:
    @app.task(name=ATTACK, max_attempts=2, backoff=0, expose=True)
    async def attack(value: str, how: str = "", *, ctx: Context) -> Any:
        ctx.log.error(f"{ATTACK}{BACKWARDS}")  # noqa: G004
        ctx.progress(0.5, message=ATTACK + BACKWARDS)
        ctx.save({ATTACK: [ATTACK, LINK]})
        if how == "fail":
            raise ValueError(ATTACK * 50 + "\x00")
        if how == "cancel":
            raise Cancel(ATTACK)
        return {ATTACK: ATTACK, "link": LINK, "page": "https://example.com/a?b=1&c=<d>", "data": "data:text/html,x"}


async def test_what_jobs_say_is_text_on_every_page(site: Any) -> None:
    declare_attacks(site.app)
    options = {"queue": ATTACK, "tags": [ATTACK, "x" * 255], "key": ATTACK, "meta": {"m": ATTACK}}
    for how in ("fail", "cancel", ""):
        await site.enqueue(ATTACK, ATTACK, (ATTACK + BACKWARDS + "\x00" + "y" * 5000, how), options=options)
        await site.work()
    await site.enqueue(ATTACK, ATTACK, (ATTACK,), options={**options, "delay": 3600})
    paths = [*TABS, "/ui/jobs/" + "no" * 300, f"/ui/jobs?text={ATTACK[:60]}&tag=%3Cb%3E&queue=%22"]
    for job in await jobs_of(site):
        paths += [f"/ui/jobs/{job.id}", f"/ui/jobs/{job.id}/again"]
    client = site.admin
    for path in paths:
        page = parsed(await client.get(path, headers=HTML))
        check_harmless(page, external=("https://example.com/a?b=1&c=<d>",))
        assert len(page.all("h1")) == 1, path
        assert "1787569" not in page.html, "a template was made of what a job says"
    listed = parsed(await client.get("/ui/jobs", headers=HTML))
    assert listed.text.count("<script>alert(1)</script>") >= 4
    asked = parsed(await post(client, "/ui/jobs/ask", {"action": "delete", "scope": "all", "filter": f"task={ATTACK}"}))
    check_harmless(asked)


async def test_only_web_addresses_in_results_are_links(memory_site: Any) -> None:
    declare_attacks(memory_site.app)
    made = await memory_site.enqueue("ann", ATTACK, ("x",))
    await memory_site.work()
    page = parsed(await memory_site.ann.get(f"/ui/jobs/{made.id}", headers=HTML))
    links = [link for link in page.all("a") if "target" in link]
    assert [link["href"] for link in links] == ["https://example.com/a?b=1&c=<d>"]
    assert links[0]["rel"] == "noreferrer noopener"


@pytest.mark.parametrize("path", [*TABS, "/ui/jobs/missing", "/ui/nothing"])
async def test_pages_say_what_a_browser_may_run(memory_site: Any, path: str) -> None:
    answer = await memory_site.admin.get(path, headers=HTML)
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'self'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    # With `no-referrer` a browser sends the origin `null` with forms, and the gate would refuse our own.
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "set-cookie" not in answer.headers


async def test_every_page_has_what_help_finds_its_way_by(memory_site: Any) -> None:
    made = await memory_site.enqueue()
    for path in (*TABS, f"/ui/jobs/{made.id}", f"/ui/jobs/{made.id}/again"):
        page = parsed(await memory_site.admin.get(path, headers=HTML))
        assert page.all("html", lang="en")
        assert page.all("a", href="#main")
        assert len(page.all("main", id="main")) == 1
        assert len(page.all("nav", **{"aria-label": "Pages"})) == 1
        headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
        assert all(after <= before + 1 for before, after in pairwise(headings)), path
        ids = [facts["id"] for _, facts in page.elements if "id" in facts]
        assert len(ids) == len(set(ids)), path
        named = {facts["for"] for facts in page.all("label") if "for" in facts}
        assert named <= set(ids)
        if path in TABS or path.startswith("/ui/jobs"):
            assert len([link for link in page.all("a") if link.get("aria-current") == "page"]) == 1


# --- forms -----------------------------------------------------------------------------------------------------------


def acts_of(web: Any) -> list[str]:
    return [route.path for route in web.routes if route.path.startswith("/ui/") and "POST" in (route.methods or ())]


async def test_no_form_is_taken_without_a_token_of_its_own_page(memory_site: Any) -> None:
    made = await memory_site.enqueue()
    of_another = await token(memory_site.ann)
    paths = [path.replace("{id}", made.id) for path in acts_of(memory_site.web)]
    assert len(paths) >= 10
    for path in paths:
        for csrf in ("", "x", of_another, of_another[:-1]):
            answer = await post(memory_site.admin, path, {"queue": "q", "name": "n", "id": made.id}, csrf)
            assert answer.status_code == 403, path
            assert "This form is too old, or comes from elsewhere" in parsed(answer).text
    assert await audit_of(memory_site) == []


async def test_a_token_may_stand_in_a_header(memory_site: Any) -> None:
    made = await memory_site.enqueue(task="jobs.boom", args=())
    await memory_site.work()
    csrf = await token(memory_site.ann)
    headers = {"x-csrf-token": csrf, "content-type": FORM}
    answer = await memory_site.ann.post(f"/ui/jobs/{made.id}/retry", headers=headers)
    assert answer.status_code == 303


async def test_a_token_grows_old(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await memory_site.enqueue()
    csrf = await token(memory_site.ann)
    from stoker import clock

    real = clock.now()
    asked = {"action": "cancel", "id": made.id}
    for hours, status in ((23, 200), (26, 403), (-2, 403)):
        monkeypatch.setattr("stoker.web.dashboard.seal.clock.now", lambda h=hours: real + h * 3600 * clock.SECOND)
        assert (await post(memory_site.ann, "/ui/jobs/ask", asked, csrf)).status_code == status


async def test_a_form_of_another_origin_is_refused_whatever_it_holds(memory_site: Any) -> None:
    csrf = await token(memory_site.ann)
    for origin in ("https://evil.example", "null"):
        answer = await memory_site.ann.post(
            "/ui/jobs/ask", data={"csrf": csrf, "action": "cancel", "scope": "all"}, headers={**HTML, "origin": origin}
        )
        assert answer.status_code == 403
        assert "another origin" in parsed(answer).text


async def test_looking_changes_nothing(memory_site: Any) -> None:
    made = await memory_site.enqueue()
    before = await jobs_of(memory_site)
    for path in acts_of(memory_site.web):
        query = f"?action=delete&scope=all&id={made.id}&queue=default&confirmed=yes"
        answer = await memory_site.admin.get(path.replace("{id}", made.id) + query, headers=HTML)
        assert answer.status_code in (200, 404, 405, 422), path
    assert await jobs_of(memory_site) == before
    assert await audit_of(memory_site) == []


async def test_malformed_forms_are_refused(memory_site: Any) -> None:
    client = memory_site.ann
    csrf = await token(client)
    head = {**HTML, "content-type": FORM}
    for content, status in (
        (f"csrf={csrf}&action=%ff", 400),
        (f"csrf={csrf}&action=cancel&id=%00", 422),
        (f"csrf={csrf}&action=explode&scope=all", 422),
        (f"csrf={csrf}&action=cancel&scope=picked", 422),
        (f"csrf={csrf}&action=cancel&scope=all&filter=colour%3Dred", 422),
        (f"csrf={csrf}&action=cancel" + "&id=x" * 2500, 400),
        ("x" * 2_000_001, 413),
    ):
        answer = await client.post("/ui/jobs/ask", content=content, headers=head)
        assert (answer.status_code, content[:120]) == (status, content[:120])
    answer = await client.post("/ui/jobs/ask", json={"csrf": csrf}, headers=HTML)
    assert answer.status_code == 415


async def test_read_only_pages_have_no_buttons_and_take_no_forms(memory_site: Any) -> None:
    made = await memory_site.enqueue(task="jobs.boom", args=())
    await memory_site.work()
    csrf = await token(memory_site.admin)
    memory_site.serve(read_only=True)
    for path in (*TABS, f"/ui/jobs/{made.id}"):
        page = parsed(await memory_site.admin.get(path, headers=HTML))
        assert page.all("form", method="post") == [], path
        assert [one for one in page.all("button") if one.get("class", "").startswith("button primary")] == []
        assert "read-only" in page.text
    assert (await memory_site.admin.get(f"/ui/jobs/{made.id}/again", headers=HTML)).status_code == 403
    for path in acts_of(memory_site.web):
        answer = await post(memory_site.admin, path.replace("{id}", made.id), {"id": made.id}, csrf)
        assert answer.status_code == 403
        assert "read-only" in parsed(answer).text
    assert (await memory_site.app.jobs.aget(made.id)).state is State.FAILED


# --- owners ----------------------------------------------------------------------------------------------------------


async def test_nothing_of_anothers_jobs_is_on_any_page(site: Any) -> None:
    secret = await site.enqueue("ann", "jobs.boom", ("annsword",), options={"queue": "annsqueue", "tags": ["annstag"]})
    await site.work()
    await site.enqueue("bob", "jobs.add", (1,))
    await site.enqueue("ann", "jobs.echo", ("annsword",), options={"queue": "annsqueue", "delay": 60})
    client = site.bob
    for path in (
        "/",
        "/ui/jobs",
        "/ui/jobs?state=failed",
        "/ui/jobs?queue=annsqueue",
        "/ui/jobs?owner=ann",
        "/ui/jobs?text=annsw",
        "/ui/jobs?tag=annstag",
        "/ui/jobs?task=jobs.boom",
    ):
        for other in (site.ann, site.admin):  # what is remembered for them is not for bob
            await other.get(path, headers=HTML)
        page = parsed(await client.get(path, headers=HTML))
        searched = path.partition("=")[2]
        said = [text for text in page.texts if searched not in text] + [
            facts.get("href", "") for facts in page.all("a")
        ]
        assert "annsword" not in page.text.replace("annsw", "") or searched == "annsw"
        assert not [text for text in said if secret.id in text or ("annsqueue" in text and not searched)], path
        assert "jobs.hidden" not in page.html  # nor names of tasks that are not theirs
        if path == "/":
            assert "queued 1" in page.text
            assert "failed 0" in page.text
    counts = parsed(await client.get("/ui/jobs", headers=HTML)).text
    assert "All 1" in counts and "failed 0" in counts and "queued 1" in counts and "scheduled 0" in counts
    for path in (f"/ui/jobs/{secret.id}", f"/ui/jobs/{secret.id}/again"):
        missing = await client.get(path, headers=HTML)
        known = await client.get(path.replace(secret.id, "0" * 36), headers=HTML)
        assert missing.status_code == known.status_code == 404
        assert missing.text.replace(secret.id, "") == known.text.replace("0" * 36, "")


async def test_nobody_changes_anothers_jobs(site: Any) -> None:
    theirs = await site.enqueue("ann", "jobs.boom", ())
    await site.work()
    client = site.bob
    csrf = await token(client, "/ui/jobs")
    for path, data, status in (
        (f"/ui/jobs/{theirs.id}/retry", {}, 404),
        (f"/ui/jobs/{theirs.id}/again", {"args": "[]", "kwargs": "{}"}, 404),
        ("/ui/jobs/do", {"action": "delete", "id": theirs.id}, 404),
        ("/ui/jobs/do", {"action": "delete", "id": [theirs.id, "other"]}, 303),
        ("/ui/jobs/do", {"action": "retry", "scope": "all", "filter": "owner=ann"}, 303),
        ("/ui/jobs/do", {"action": "delete", "scope": "all", "filter": ""}, 303),
    ):
        answer = await post(client, path, data, csrf)
        assert answer.status_code == status, (path, data)
    for data in ({"id": [theirs.id, "other"]}, {"scope": "all", "filter": "owner=ann"}):
        asked = parsed(await post(client, "/ui/jobs/ask", {"action": "delete", **data}, csrf))
        assert "Nothing to delete" in asked.text
    assert [job.state for job in await jobs_of(site)] == [State.FAILED]


async def test_pages_of_admins_are_for_admins(memory_site: Any) -> None:
    page = parsed(await memory_site.ann.get("/", headers=HTML))
    assert [link["href"] for link in page.all("a") if "data-key" in link] == ["./", "./ui/jobs", "./ui/workflows"]
    assert "Your jobs" in page.text
    assert "Workers" not in page.text
    for path in {*TABS} - {"/", "/ui/jobs", "/ui/workflows"}:
        answer = await memory_site.ann.get(path, headers=HTML)
        assert (answer.status_code, path) == (403, path)
        assert "Only admins see this" in parsed(answer).text


# --- what is done is written down ------------------------------------------------------------------------------------


async def test_many_jobs_are_changed_after_a_question_that_counts_them(site: Any) -> None:
    for number in range(3):
        await site.enqueue("ann", "jobs.boom", (f"no {number}",))
    await site.work()
    await site.enqueue("ann", "jobs.add", (1,))
    client = site.admin
    asked = parsed(await post(client, "/ui/jobs/ask", {"action": "delete", "scope": "all", "filter": "owner=ann"}))
    assert "Among them: 1 queued, 3 failed." in asked.text, "who deletes what has not run should know it"
    filter = {"scope": "all", "filter": "state=failed&owner=ann"}
    asked = parsed(await post(client, "/ui/jobs/ask", {"action": "retry", **filter}))
    assert "Retry 3 jobs?" in asked.text
    assert "Which: state=failed owner=ann" in asked.text
    assert len(await jobs_of(site, states=(State.FAILED,))) == 3, "a question changes nothing"
    fields = {name: text for name, text in asked.fields().items() if name != "csrf"}
    done = await post(client, "/ui/jobs/do", fields)
    assert done.status_code == 303
    listed = parsed(await client.get(urljoin("/ui/jobs/do", done.headers["location"]), headers=HTML))
    assert "3 jobs were queued again." in listed.text
    assert "owner ann" in listed.text, "the list shows what it showed"
    assert len(await jobs_of(site, states=(State.QUEUED,))) == 4
    assert await audit_of(site) == [("admin", "retry jobs", "state=failed owner=ann", 3)]


async def test_selected_jobs_are_changed_and_no_others(site: Any) -> None:
    made = [await site.enqueue("ann", "jobs.add", (number,)) for number in range(3)]
    ids = [made[0].id, made[2].id]
    await site.app.jobs.acancel(made[2].id)
    asked = parsed(await post(site.ann, "/ui/jobs/ask", {"action": "cancel", "scope": "picked", "id": ids}))
    assert "Cancel 1 job?" in asked.text
    assert "1 selected job is in no state for it" in asked.text
    await post(site.ann, "/ui/jobs/do", {"action": "cancel", "id": ids, "reason": "wrong numbers"})
    states = {job.id: (job.state, job.error) for job in await jobs_of(site)}
    assert states[made[0].id] == (State.CANCELLED, "wrong numbers")
    assert states[made[1].id] == (State.QUEUED, None)
    assert await audit_of(site) == [("ann", "cancel jobs", ", ".join(ids), 1)]


async def test_one_job_is_retried_cancelled_and_deleted(site: Any) -> None:
    made = await site.enqueue("ann", "jobs.boom", ())
    await site.work()
    client = site.ann
    retried = await post(client, f"/ui/jobs/{made.id}/retry", {})
    assert (
        "The job is queued again."
        in parsed(
            await client.get(urljoin(f"/ui/jobs/{made.id}/retry", retried.headers["location"]), headers=HTML)
        ).text
    )
    again = await post(client, f"/ui/jobs/{made.id}/retry", {})
    assert again.status_code == 409
    back = {"id": made.id, "back": made.id}
    cancelled = await post(client, "/ui/jobs/do", {"action": "cancel", **back})
    assert urlsplit(urljoin("/ui/jobs/do", cancelled.headers["location"])).path == f"/ui/jobs/{made.id}"
    deleted = await post(client, "/ui/jobs/do", {"action": "delete", **back})
    assert urlsplit(urljoin("/ui/jobs/do", deleted.headers["location"])).path == "/ui/jobs"
    assert await jobs_of(site) == []
    did = [("retry", 1), ("retry", 0), ("cancel", 1), ("delete", 1)]
    assert await audit_of(site) == [("ann", f"{verb} job", made.id, count) for verb, count in did]


async def test_nobody_can_make_a_link_that_has_the_dashboard_say_something(memory_site: Any) -> None:
    made = await memory_site.enqueue(task="jobs.boom", args=())
    await memory_site.work()
    answer = await post(memory_site.ann, f"/ui/jobs/{made.id}/retry", {})
    sealed = answer.headers["location"].partition("notice=")[2]
    for client, notice, told in (
        (memory_site.ann, sealed, True),
        (memory_site.bob, sealed, False),
        (memory_site.ann, "You+have+won", False),
        (memory_site.ann, sealed[:-2], False),
    ):
        page = parsed(await client.get(f"/ui/jobs?notice={notice}", headers=HTML))
        assert ("The job is queued again." in page.text) is told
        assert "won" not in page.text


# --- the list --------------------------------------------------------------------------------------------------------


async def test_pages_of_the_list_lead_to_older_and_newer_ones(site: Any) -> None:
    for number in range(120):
        await site.enqueue("ann", "jobs.add", (number,), options={"queue": "many"})
    await site.enqueue("ann", "jobs.add", (1,), options={"queue": "other"})

    async def look(path: str) -> tuple[list[str], dict[str, str]]:
        page = parsed(await site.ann.get(path, headers=HTML))
        rows = [facts["value"] for facts in page.all("input", name="id")]
        return rows, {link["rel"]: urljoin(path, link["href"]) for link in page.all("a") if "rel" in link}

    expected = [job.id for job in await site.app.jobs.alist(queue="many", limit=200)]
    first, links = await look("/ui/jobs?queue=many")
    assert first == expected[:50]
    assert list(links) == ["next"]
    second, links = await look(links["next"])
    assert second == expected[50:100]
    third, links = await look(links["next"])
    assert third == expected[100:]
    assert list(links) == ["prev"]
    back, links = await look(links["prev"])
    assert back == expected[50:100]
    newest, links = await look(links["prev"])
    assert newest == expected[:50]
    assert list(links) == ["next"]


async def test_the_list_keeps_its_filters_in_every_link(memory_site: Any) -> None:
    await memory_site.enqueue("ann", "jobs.echo", ("needle & thread",), options={"queue": "a&b"})
    await memory_site.enqueue("ann", "jobs.echo", ("hay",), options={"queue": "a&b"})
    page = parsed(await memory_site.admin.get("/ui/jobs?queue=a%26b&text=needle+%26", headers=HTML))
    assert len(page.all("input", name="id")) == 1
    tabs = [link["href"] for link in page.all("a") if "state=failed" in link["href"]]
    assert tabs == ["../ui/jobs?state=failed&queue=a%26b&text=needle+%26"]
    assert page.all("input", name="text")[0]["value"] == "needle &"
    assert page.all("input", name="filter")[0]["value"] == "queue=a%26b&text=needle+%26"
    without = next(link for link in page.all("a") if link.get("aria-label", "").startswith("Without queue"))
    assert without["href"] == "../ui/jobs?text=needle+%26"


@pytest.mark.parametrize("query", ["state=sleeping", "colour=red", "text=%00", "queue=%ED%A0%80", "before=%00"])
async def test_a_filter_that_is_none_is_told(memory_site: Any, query: str) -> None:
    answer = await memory_site.admin.get(f"/ui/jobs?{query}", headers=HTML)
    if query.startswith("queue"):  # the server has read what is not Unicode as other characters
        assert answer.status_code == 200
    else:
        assert answer.status_code == 422
        assert len(parsed(answer).all("h1")) == 1


async def test_a_search_that_takes_too_long_is_given_up_and_told(memory_site: Any) -> None:
    await memory_site.enqueue()
    answers = memory_site.web.state.desk.answers
    ask = answers.ask

    async def slow(plan: Plan[Any], within: float = 2.0) -> Any:
        if plan.name in ("find", "eligible", "count"):
            raise TookTooLong("too long")
        return await ask(plan, within)

    answers.ask = slow
    page = parsed(await memory_site.ann.get("/ui/jobs?text=x", headers=HTML))
    assert "This took too long" in page.text
    assert page.all("input", name="id") == []
    asked = parsed(
        await post(memory_site.ann, "/ui/jobs/ask", {"action": "cancel", "scope": "all", "filter": "text=x"})
    )
    assert "could not count them" in asked.text
    assert parsed(await memory_site.admin.get("/", headers=HTML)).text.count("takes too long") == 1


# --- one job ---------------------------------------------------------------------------------------------------------


async def test_a_job_shows_its_whole_life(site: Any) -> None:
    @site.app.task(name="jobs.story", max_attempts=2, backoff=0)
    async def story(name: str, *, ctx: Context) -> dict[str, str]:
        ctx.log.info("attempt %d of %s", ctx.attempt, name)
        ctx.save({"seen": ctx.attempt})
        if ctx.attempt == 1:
            raise KeyError("chapter")
        return {"link": "https://example.com/story"}

    made = await site.enqueue("ann", "jobs.story", ("Ahab",), options={"meta": {"book": "Moby Dick"}, "tags": ["sea"]})
    await site.work()
    page = parsed(await site.admin.get(f"/ui/jobs/{made.id}", headers=HTML))
    for said in (
        *("jobs.story", "completed", "Enqueued", "Attempt 1 failed", "Attempt 2 began", "Completed"),
        *("KeyError: 'chapter'", "Traceback (most recent call last)", "attempt 1 of Ahab", "attempt 2 of Ahab"),
        *('"seen" : 2', '"book" : "Moby Dick"', '"Ahab"', "sea", "https://example.com/story"),
    ):
        assert said in page.text, said
    assert [facts["id"] for facts in page.all("details", id="attempt-2")] == ["attempt-2"]
    own = parsed(await site.ann.get(f"/ui/jobs/{made.id}", headers=HTML))
    assert "Traceback" not in own.text, "the server's insides are for admins"
    assert "KeyError: 'chapter'" in own.text


async def test_secret_arguments_are_on_no_page(memory_site: Any) -> None:
    made = await memory_site.enqueue("ann", "jobs.echo", ("shown",), password="hunter2", nested={"Token": "hunter2"})
    for path in ("/ui/jobs", f"/ui/jobs/{made.id}", f"/ui/jobs/{made.id}/again"):
        page = parsed(await memory_site.admin.get(path, headers=HTML))
        assert "hunter2" not in page.html
        assert "shown" in page.html
    assert "[hidden]" in parsed(await memory_site.admin.get(f"/ui/jobs/{made.id}", headers=HTML)).text


async def test_a_parent_out_of_reach_is_not_told_of(memory_site: Any) -> None:
    parent = await memory_site.enqueue("ann", "jobs.add", (1,))
    from stoker.job import NewJob

    child = NewJob(
        id=memory_site.app.engine.new_ids(),
        task="jobs.add",
        payload="[[1],{}]",
        keep_for=10**9,
        owner="bob",
        parents=(parent.id,),
    )
    await memory_site.app.engine.ainsert_jobs([child])
    page = parsed(await memory_site.bob.get(f"/ui/jobs/{child.id}", headers=HTML))
    assert f"../../ui/jobs/{parent.id}" not in [link["href"] for link in page.all("a")]
    page = parsed(await memory_site.admin.get(f"/ui/jobs/{child.id}", headers=HTML))
    assert f"../../ui/jobs/{parent.id}" in [link["href"] for link in page.all("a")]


# --- again -----------------------------------------------------------------------------------------------------------

BLANK = {"args": "[1]", "kwargs": "{}"} | dict.fromkeys(
    ("queue", "priority", "delay", "max_attempts", "owner", "key", "tags"), ""
)


async def test_another_job_is_made_of_one(site: Any) -> None:
    old = await site.enqueue("ann", "jobs.add", (1,), b=2, options={"queue": "old", "priority": 3, "tags": ["x", "y"]})
    form = parsed(await site.admin.get(f"/ui/jobs/{old.id}/again", headers=HTML))
    fields = form.fields()
    assert (fields["queue"], fields["priority"], fields["owner"], fields["tags"]) == ("old", "3", "ann", "x, y")
    answer = await post(
        site.admin, f"/ui/jobs/{old.id}/again", {**BLANK, **fields, "args": "[5]", "kwargs": '{"b": 6}', "queue": "new"}
    )
    assert answer.status_code == 303
    new_id = urlsplit(urljoin(f"/ui/jobs/{old.id}/again", answer.headers["location"])).path.rpartition("/")[2]
    new = await site.app.jobs.aget(new_id)
    assert new.id != old.id
    assert (new.args, new.kwargs, new.queue, new.priority, new.owner, new.tags) == (
        [5],
        {"b": 6},
        "new",
        3,
        "ann",
        ("x", "y"),
    )
    assert (await site.app.jobs.aget(old.id)) == old
    assert await audit_of(site) == [("admin", "enqueue job", new.id, 1)]


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"args": '["one"]'}, "args", "argument 'a': expected `int`, got `str`"),
        ({"args": "[1"}, "args", "this is not JSON"),
        ({"args": '{"a": 1}'}, "args", "arguments by position are a JSON list"),
        ({"kwargs": "[]"}, "kwargs", "arguments by name are a JSON object"),
        ({"kwargs": '{"b": "[hidden]"}'}, "kwargs", "write the value itself"),
        ({"kwargs": '{"c": 1}'}, "kwargs", "it takes (a: int, b: int = 1)"),
        ({"kwargs": '{"b": "x"}'}, "kwargs", "argument 'b': expected `int`, got `str`"),
        ({"args": "[]"}, "args", "it takes (a: int, b: int = 1)"),
        ({"priority": "high"}, "priority", "write a whole number, not 'high'"),
        ({"priority": "1000"}, "priority", "from -100 to 100"),
        ({"delay": "soon"}, "delay", "write seconds"),
        ({"delay": "nan"}, "delay", "zero or more seconds"),
        ({"max_attempts": "0"}, "max_attempts", "from 1"),
        ({"queue": "q" * 300}, "queue", "1 to 255 characters"),
        ({"tags": "t" * 300}, "tags", "1 to 255 characters"),
    ],
)
async def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    memory_site: Any, typed: dict[str, str], field: str, said: str
) -> None:
    old = await memory_site.enqueue("ann", "jobs.add", (1,))
    answer = await post(memory_site.admin, f"/ui/jobs/{old.id}/again", {**BLANK, "key": "kept as typed", **typed})
    assert answer.status_code == 422
    page = parsed(answer)
    assert [facts["id"] for facts in page.all("p") if facts.get("class") == "wrong"] == [f"{field}-wrong"]
    assert said in page.text
    marked = [facts for tag, facts in page.elements if tag in ("input", "textarea") and "aria-invalid" in facts]
    assert [facts["aria-describedby"].split()[0] for facts in marked] == [f"{field}-wrong"]
    assert page.fields()["key"] == "kept as typed"
    for name, text in typed.items():
        assert text in (page.text if name in ("args", "kwargs") else page.fields()[name])
    assert len(await jobs_of(memory_site)) == 1


async def test_secret_arguments_are_left_out_and_that_is_said(memory_site: Any) -> None:
    @memory_site.app.task(name="jobs.secretive")
    def secretive(name: str, password: str = "", size: int = 1, deep: Any = None) -> None: ...

    old = await memory_site.enqueue("ann", "jobs.secretive", ("n", "hunter2", 3, {"token": "hunter2"}))
    page = parsed(await memory_site.admin.get(f"/ui/jobs/{old.id}/again", headers=HTML))
    assert "secret: password, deep." in page.text
    assert "[hidden]" not in page.text
    assert '[ "n" ]' in page.text
    assert '{ "size": 3 }' in page.text


async def test_results_of_other_steps_stand_where_they_belong(memory_site: Any) -> None:
    app = memory_site.app

    @app.task(name="jobs.list")
    def listing(start: int) -> list[int]:
        return [start, start + 1]

    @app.task(name="jobs.sum")
    def total(numbers: list[int], more: list[int] | None = None) -> int:
        return sum(numbers)

    flow = Workflow()
    one, two = flow.add(listing.call(1)), flow.add(listing.call(5))
    last = flow.add(total.call(one, more=two))
    await flow.aenqueue()
    path = f"/ui/jobs/{last.id}/again"
    page = parsed(await memory_site.admin.get(path, headers=HTML))
    assert "2 could not be read; null stands in their place" in page.text
    assert "[ null ]" in page.text
    await memory_site.work()
    page = parsed(await memory_site.admin.get(path, headers=HTML))
    assert "could not be read" not in page.text
    assert "[ [ 1, 2 ] ]" in page.text
    assert '{ "more": [ 5, 6 ] }' in page.text
    answer = await post(memory_site.admin, path, {**BLANK, "args": "[[1, 2]]", "kwargs": '{"more": [5, 6]}'})
    assert answer.status_code == 303
    assert (await jobs_of(memory_site))[0].workflow is None


async def test_others_than_admins_make_what_they_may(memory_site: Any) -> None:
    hidden = await memory_site.enqueue("ann", "jobs.hidden", ())
    gone = await memory_site.enqueue("ann", "jobs.add", (1,))
    page = parsed(await memory_site.ann.get(f"/ui/jobs/{hidden.id}", headers=HTML))
    assert "enqueue again" not in page.text
    assert (await memory_site.ann.get(f"/ui/jobs/{hidden.id}/again", headers=HTML)).status_code == 404
    assert (await post(memory_site.ann, f"/ui/jobs/{hidden.id}/again", BLANK)).status_code == 404
    assert "enqueue again" in parsed(await memory_site.ann.get(f"/ui/jobs/{gone.id}", headers=HTML)).text
    form = parsed(await memory_site.ann.get(f"/ui/jobs/{gone.id}/again", headers=HTML))
    assert not {"owner", "max_attempts"} & form.fields().keys()
    answer = await post(
        memory_site.ann, f"/ui/jobs/{gone.id}/again", {**BLANK, "owner": "bob", "max_attempts": "9", "key": "k"}
    )
    assert answer.status_code == 303
    new = (await jobs_of(memory_site))[0]
    assert (new.owner, new.max_attempts, new.key) == ("ann", 1, "ann\N{MIDDLE DOT}k")


async def test_a_task_that_no_worker_can_import_is_not_enqueued_again(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await site.enqueue()
    monkeypatch.setattr(site.app.registry.get("jobs.add"), "module", "__main__")
    answer = await post(site.admin, f"/ui/jobs/{old.id}/again", BLANK)
    if site.app.engine.connection.store.traits.shared:
        assert (answer.status_code, "defined in an interactive session" in answer.text) == (422, True)
        assert [job.id for job in await jobs_of(site)] == [old.id]
    else:
        assert answer.status_code == 303


async def test_long_arguments_are_whole_in_the_form(memory_site: Any) -> None:
    """Documents are shown up to a length; what is to be enqueued again must be all of it."""
    old = await memory_site.enqueue("ann", "jobs.echo", (["x" * 50_000] * 3,))
    form = parsed(await memory_site.admin.get(f"/ui/jobs/{old.id}/again", headers=HTML))
    [args] = re.findall(r'<textarea[^>]*name="args"[^>]*>(.*?)</textarea>', form.html, re.DOTALL)
    answer = await post(memory_site.admin, f"/ui/jobs/{old.id}/again", {**BLANK, "args": unescape(args)})
    assert answer.status_code == 303, answer.text
    assert [job.args for job in await jobs_of(memory_site)] == [old.args, old.args]


async def test_a_key_that_is_taken_is_told(memory_site: Any) -> None:
    old = await memory_site.enqueue("bob", "jobs.add", (1,), options={"key": "k"})
    answer = await post(memory_site.admin, f"/ui/jobs/{old.id}/again", {**BLANK, "key": "k"})
    page = parsed(
        await memory_site.admin.get(urljoin(f"/ui/jobs/{old.id}/again", answer.headers["location"]), headers=HTML)
    )
    assert "No job was made: this unfinished one stands in its place" in page.text
    assert len(await jobs_of(memory_site)) == 1
    [(who, action, _, count)] = await audit_of(memory_site)
    assert (who, action, count) == ("admin", "enqueue job", 0)


# --- under any mount and behind any proxy ----------------------------------------------------------------------------


async def crawl(client: httpx.AsyncClient, start: str, seen: str, inner: str) -> set[str]:
    """Every page that can be reached: `seen` is the prefix in the browser, `inner` what a proxy makes of it."""
    known, waiting = set(), [start]
    while waiting and len(known) < 80:
        at = waiting.pop()
        assert at.startswith(seen + "/"), at
        known.add(at)
        answer = await client.get(inner + at.removeprefix(seen), headers=HTML)
        assert answer.status_code == 200, at
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        page = Parsed(answer.text)
        links = [facts.get("href") or facts.get("src") or "" for _, facts in page.elements]
        links += [facts["action"] for facts in page.all("form", method="get")]
        posts = [facts["action"] for facts in page.all("form", method="post")]
        for link in posts:
            assert urljoin(at, link).startswith(seen + "/ui/"), (at, link)
        for link in links:
            if link and not link.startswith(("#", "https:")):
                target = urljoin(at, link).partition("#")[0]
                if target not in known and target not in waiting and "/ui/jobs?" not in target:
                    waiting.append(target)
    return known


@pytest.mark.parametrize("how", ["root", "mounted", "proxy that strips", "proxy that keeps", "root path"])
async def test_every_link_works_wherever_it_is_mounted(memory_site: Any, how: str) -> None:
    await memory_site.enqueue("ann", "jobs.add", (1,))
    web = create(memory_site.app, lambda _: Identity(None, admin=True))
    seen, inner, root_path, served = "", "", "", web
    if how == "mounted" or how == "proxy that keeps":
        served, seen, inner = Starlette(routes=[Mount("/a/b", web)]), "/a/b", "/a/b"
    elif how == "proxy that strips":
        seen = "/any/prefix"
    elif how == "root path":
        root_path, seen, inner = "/a/b", "/a/b", "/a/b"
    transport = httpx.ASGITransport(served, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        known = await crawl(client, f"{seen}/", seen, inner)
        pages = {urlsplit(address).path.removeprefix(seen) for address in known}
        assert {*TABS, "/static/dashboard.css", "/static/dashboard.js"} <= pages
        job = next(path for path in pages if re.fullmatch("/ui/jobs/[^/]+", path))
        csrf = await token(client, f"{inner}/ui/jobs")
        answer = await post(client, f"{inner}{job}/again", {**BLANK}, csrf)
        assert urljoin(f"{seen}{job}/again", answer.headers["location"]).startswith(f"{seen}/ui/jobs/")


# --- when something is wrong -----------------------------------------------------------------------------------------


async def test_a_store_that_is_down_is_told_by_a_page_that_tries_again(memory_site: Any) -> None:
    made = await memory_site.enqueue()
    csrf = await token(memory_site.admin)
    driver = memory_site.app.engine.connection.driver
    real = driver.run

    def down(plan: Plan[Any]) -> Any:
        raise StoreUnavailable("no route to the place of the jobs")

    driver.run = down
    for path in ("/", "/ui/jobs", f"/ui/jobs/{made.id}", "/ui/queues"):
        answer = await memory_site.admin.get(path, headers=HTML)
        assert answer.status_code == 503, path
        assert answer.headers["retry-after"] == "2"
        page = parsed(answer)
        assert "The store of jobs cannot be reached now" in page.text
        assert "no route" not in page.text
        assert page.all("meta", content="2") == [{"http-equiv": "refresh", "content": "2"}]
    answer = await post(memory_site.admin, f"/ui/jobs/{made.id}/retry", {}, csrf)
    assert answer.status_code == 503
    assert parsed(answer).all("meta", **{"http-equiv": "refresh"}) == [], "what was posted is not posted again"
    driver.run = real
    assert (await memory_site.admin.get("/", headers=HTML)).status_code == 200


async def test_who_asks_for_a_page_is_told_by_a_page_and_programs_by_problem_details(memory_site: Any) -> None:
    for client, path, status in (
        (memory_site.by(None), "/", 401),
        (memory_site.by(None), "/ui/jobs", 401),
        (memory_site.ann, "/ui/audit", 403),
        (memory_site.ann, "/ui/jobs/nothing", 404),
        (memory_site.ann, "/ui/nothing", 404),
    ):
        answer = await client.get(path, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert answer.status_code == status
        page = parsed(answer)
        assert str(status) in page.text
        check_harmless(page)
        if client is not memory_site.ann:
            assert page.all("nav") == []
        for accept in ("application/json", "*/*"):
            answer = await client.get(path, headers={"accept": accept})
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    answer = await memory_site.ann.get("/jobs/nothing", headers=HTML)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_mistake_of_ours_is_a_page_that_tells_nothing(memory_site: Any) -> None:
    async def broken(plan: Plan[Any], within: float = 2.0) -> Any:
        raise RuntimeError("secret detail")

    memory_site.web.state.desk.answers.ask = broken
    transport = httpx.ASGITransport(memory_site.web, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://testserver", headers={"x-user": "root"}
    ) as client:
        answer = await client.get("/", headers=HTML)
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.headers["content-security-policy"]
    assert "Something went wrong here" in parsed(answer).text


async def test_a_token_of_a_job_opens_no_page(memory_site: Any) -> None:
    made = await memory_site.enqueue()
    key = await memory_site.app.jobs.handle(made.id).atoken()
    for path in ("/", "/ui/jobs", f"/ui/jobs/{made.id}", "/ui/live"):
        answer = await memory_site.by(None).get(f"{path}?token={key}", headers=HTML)
        assert answer.status_code == 401


# --- files -----------------------------------------------------------------------------------------------------------


async def test_files_are_kept_by_browsers_until_they_change(memory_site: Any) -> None:
    page = parsed(await memory_site.admin.get("/", headers=HTML))
    links = [facts["src"] for facts in page.all("script")] + [facts["href"] for facts in page.all("link")]
    nobody = memory_site.by(None)
    for link in links:
        answer = await nobody.get(urljoin("/", link))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await nobody.get(urljoin("/", link), headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        plain = await nobody.get(urlsplit(urljoin("/", link)).path)
        assert "immutable" not in plain.headers["cache-control"]
    for path in ("/static/nothing.js", "/static/..%2fapplication.py", "/static/%2e%2e/application.py"):
        assert (await nobody.get(path)).status_code == 404


# --- what runs -------------------------------------------------------------------------------------------------------


async def claimed(site: Any, many: int = 1, *settled: Outcome) -> list[Claim]:
    """Have the worker `w1` settle some and claim others, so that they run."""
    store, routing = site.app.engine.connection.store, Routing(tasks=frozenset({"jobs.add"}))
    answer = await site.app.engine.arun(store.exchange("w1", list(settled), [Want(None, many)], routing, many))
    return list(answer.claims)


async def text_of(site: Any, path: str) -> str:
    return " ".join(parsed(await site.admin.get(path, headers=HTML)).text.split())


async def test_no_worker_is_said_to_run_more_than_it_has_slots(memory_site: Any) -> None:
    """What it claimed ahead does not run yet; another worker's free slots are not filled with it."""
    for number in range(5):
        await memory_site.enqueue("ann", "jobs.add", (number,))
    await memory_site.some_worker()
    await memory_site.some_worker("w2")
    assert len(await claimed(memory_site, 5)) == 5
    overview = await text_of(memory_site, "/")
    assert "Running of slots 3 / 6" in overview
    assert "pid 1 3 / 3" in overview
    assert "3 of 3" in await text_of(memory_site, "/ui/workers")


async def test_a_crash_spends_no_attempt_and_is_one(memory_site: Any) -> None:
    made = await memory_site.enqueue()
    await memory_site.some_worker()
    [claim] = await claimed(memory_site)
    await claimed(memory_site, 1, Outcome(claim.ref, claim.fence, Verdict.CRASHED))
    await claimed(memory_site)
    job = await memory_site.app.jobs.aget(made.id)
    assert (job.attempt, job.crashes, job.max_attempts) == (2, 1, 1)
    assert "Attempts 2 of 2" in await text_of(memory_site, f"/ui/jobs/{made.id}")
    assert "2 / 2" in await text_of(memory_site, "/ui/jobs")


async def test_a_job_that_runs_is_told_to_stop_and_not_offered_for_deletion(memory_site: Any) -> None:
    made = await memory_site.enqueue()
    assert "Delete" in await text_of(memory_site, f"/ui/jobs/{made.id}")
    await memory_site.some_worker()
    await claimed(memory_site)
    assert "Delete" not in await text_of(memory_site, f"/ui/jobs/{made.id}")
    fields = {"action": "cancel", "id": made.id, "back": made.id}
    done = await post(memory_site.admin, "/ui/jobs/do", fields)
    told = await text_of(memory_site, urljoin("/ui/jobs/do", done.headers["location"]))
    assert "1 job is cancelled; what runs is told to stop." in told


async def test_the_list_says_how_many_match(memory_site: Any) -> None:
    for number in range(3):
        await memory_site.enqueue("ann", "jobs.add", (number,))
    await memory_site.enqueue("bob", "jobs.add", (1,), options={"delay": 60})

    async def matching(query: str) -> str:
        page = parsed(await memory_site.admin.get(f"/ui/jobs{query}", headers=HTML))
        [said] = [facts["data-matching"] for facts in page.all("nav") if "data-matching" in facts]
        return said

    assert await matching("") == "all 4 that match"
    assert await matching("?state=queued") == "all 3 that match"
    assert await matching("?state=queued,scheduled&owner=bob") == "all 1 that match"

    async def slow(*_: Any) -> Any:
        raise TookTooLong("too long")

    memory_site.web.state.desk.answers.forget()
    memory_site.web.state.desk.answers.kept = slow
    assert await matching("?state=queued") == "all that match"


# --- workers that are gone --------------------------------------------------------------------------------------------


async def test_the_dead_do_not_count_as_serving(memory_site: Any) -> None:
    """As in `/stats`: a worker whose lease is over has no slots, and nothing leaves the queues."""
    await memory_site.enqueue()
    dead = Worker(id="late", host="there", pid=1, version="0", concurrency=7)
    await memory_site.app.engine.arun(memory_site.app.engine.connection.store.register(dead, 0))
    overview = parsed(await memory_site.admin.get("/", headers=HTML)).text
    queues = parsed(await memory_site.admin.get("/ui/queues", headers=HTML)).text
    assert "Running of slots 0 / 0" in " ".join(overview.split())
    assert "No worker is running, so nothing leaves the queues." in queues
    memory_site.web.state.desk.answers.forget()
    await memory_site.some_worker()
    overview = parsed(await memory_site.admin.get("/", headers=HTML)).text
    queues = parsed(await memory_site.admin.get("/ui/queues", headers=HTML)).text
    assert "Running of slots 0 / 3" in " ".join(overview.split())
    assert "No worker is running" not in queues
