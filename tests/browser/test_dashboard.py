"""The dashboard in a real browser, served by a real process, with real workers that are killed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount

import places
from browser.site import WAIT, Site, opened
from stoker import Stoker, batch, chain
from stoker.job import LIVE, Failure, Outcome, Verdict
from stoker.store import Routing, Want, Worker
from web import live

expect.set_options(timeout=30_000)

ROOT = {"x-user": "root"}
ATTACK = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}\u202e'

PAGES = (
    "",
    "ui/jobs",
    "ui/jobs?state=failed",
    "ui/queues",
    "ui/queues/limit?queue=default",
    "ui/schedules",
    "ui/schedules/new",
    "ui/workflows",
    "ui/workers",
    "ui/audit",
)

Visit = Callable[..., Page]


@pytest.fixture(params=["sqlite-normal", "postgres"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with places.fresh(request.param, tmp_path) as place, opened(tmp_path, place) as site:
        yield site


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Site]:
    """A site with something on every page, among it what attackers write."""
    with places.fresh("sqlite-normal", tmp_path) as place, opened(tmp_path, place) as site:
        add, boom, steps = site.task("add"), site.task("boom"), site.task("steps")
        for number in range(8):
            add.using(owner=f"u{number % 3}", tags=["blue"]).enqueue(number, b=2)
        boom.enqueue("it broke, as it was told")
        app = site.tasks["app"]
        app.schedules.add("every 5 minutes", add, name="nightly", args=[1])
        app.queues.limit("mail", concurrency=5, rate="100/m")
        worker = site.start("worker", "--drain")
        worker.stop_when_done()
        hostile(site)
        chain(add.call(1), add.call(), batch([add.call(n) for n in range(3)], then=add.call(9))).enqueue()
        add.using(delay=3600).enqueue(1)
        app.queues.pause("mail")
        add.using(queue="mail", priority=5).enqueue(1)
        site.work()
        steps.enqueue("running", 4)
        site.allow("running", 1)
        settled(app, processing=1, queued=1, scheduled=1)  # no page changes while it is looked at
        yield site


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[live.Site]:
    """A site that has the dashboard below `/admin/stoker`, with one job."""
    with places.fresh("sqlite-normal", tmp_path) as place, Stoker(place) as app:
        app.task(name="say")(_say).enqueue("hello")
        site = live.Site(app, around=lambda web: Starlette(routes=[Mount("/admin/stoker", app=web)])).start()
        yield site
        site.stop()


def settled(app: Stoker, **unfinished: int) -> None:
    """Wait until no more jobs are unfinished than these."""
    deadline = time.monotonic() + WAIT
    while {state: n for state, n in app.jobs.count().items() if state in LIVE} != unfinished:
        assert time.monotonic() < deadline, app.jobs.count()
        time.sleep(0.02)


def hostile(site: Site) -> None:
    """A job that failed, and whose every text is an attack."""
    app = site.app
    evil = app.task(name=f"evil {ATTACK}"[:255])(_say)
    id = evil.using(
        queue=f"q{ATTACK}", owner=f"o{ATTACK}", tags=[f"t{ATTACK}"], key=f"k{ATTACK}", meta={ATTACK: ATTACK}
    ).enqueue(ATTACK).id  # fmt: skip
    store, run = app.engine.connection.store, app.engine.run
    run(store.register(Worker(id="w", host=ATTACK, pid=1, version=ATTACK, concurrency=1), 3600 * 1_000_000))
    routing = Routing(tasks=frozenset({evil.name}))
    [claim] = run(store.exchange("w", [], [Want(None, 1)], routing, 1)).claims
    assert claim.id == id
    failure = Failure(attempt=1, type=ATTACK, message=ATTACK, traceback=ATTACK)
    run(
        store.exchange(
            "w",
            [Outcome(claim.ref, claim.fence, Verdict.FAILED, failure=failure, message=ATTACK, log=f"{ATTACK}\n")],
        )
    )


def _say(text: str) -> None: ...


def looks(page: Page, shots: Path | None, name: str) -> None:
    """No rule of accessibility is broken, nothing sticks out sideways; and a picture, if somebody wants to see it."""
    if shots is not None:
        page.screenshot(path=shots / f"{name}.png", full_page=True)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    assert found.violations_count == 0, f"{name} {page.url}: {found.generate_report()}"
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{page.url} is {over} px too wide"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (360, False)], ids=["light", "dark", "phone"])
def test_every_page_can_be_used_by_everybody(
    crowded: Site, visit: Visit, shots: Path | None, width: int, dark: bool
) -> None:
    url = crowded.serve()
    page = visit(url, width=width, dark=dark, headers=ROOT)
    page.on("dialog", lambda dialog: pytest.fail(f"a script of an attacker ran: {dialog.message}"))
    ids = {job.state.value: job.id for job in crowded.app.jobs.list()}
    evil = next(job for job in crowded.app.jobs.list(state="failed") if job.task.startswith("evil"))
    flow = crowded.app.workflows.list()[0].id
    more = [f"ui/jobs/{id}" for id in (*ids.values(), evil.id)] + [f"ui/jobs/{evil.id}/again", f"ui/workflows/{flow}"]
    kind = f"{'dark' if dark else 'light'}-{width}"
    for number, where in enumerate((*PAGES, *more)):
        page.goto(f"{url}/{where}")
        expect(page.locator("h1")).to_be_visible()
        assert not re.search(r"\b49\b", page.title())  # an id may have these digits in it
        looks(page, shots, f"{number:02}-{kind}-{re.sub(r'[^a-z]+', '-', where)[:30]}")


def test_a_job_is_watched_through_the_death_of_its_worker(site: Site, visit: Visit) -> None:
    job = site.task("steps").enqueue("slow", 4)
    page = visit(f"{site.serve()}/ui/jobs/{job.id}", headers=ROOT)
    first = site.work()  # as late as can be: its lease is short, and a busy machine may lose it
    site.allow("slow", 2)
    expect(page.locator("[data-live=head]")).to_contain_text("step 2")
    bar = page.locator("[data-live=head] progress")
    expect(bar).to_have_attribute("value", "0.5")
    first.kill()
    site.work()
    site.allow("slow", 2)
    expect(page.locator("[data-live=head]")).to_contain_text("Completed", ignore_case=True)
    expect(page.locator("[data-live=result]")).to_contain_text("slow has 4 steps")
    expect(page.locator("[data-live=attempts]")).to_contain_text("begins at 2 of 4")
    expect(page.locator("[data-live=facts]")).to_contain_text("1 of 3")  # crashes


def test_jobs_are_picked_and_cancelled_and_the_deed_is_written_down(site: Site, visit: Visit) -> None:
    ids = [site.task("add").enqueue(number).id for number in range(3)]
    page = visit(f"{site.serve()}/ui/jobs", headers=ROOT)
    page.locator(f"#job-{ids[0]} [data-pick]").check()
    page.locator(f"#job-{ids[2]} [data-pick]").check()
    expect(page.locator("[data-picked]")).to_have_text("2")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("body")).to_contain_text("2 jobs")
    assert [site.app.jobs.get(id).state.value for id in ids] == ["queued"] * 3, "asking changes nothing"
    page.get_by_role("button", name=re.compile("cancel 2 jobs", re.IGNORECASE)).click()
    expect(page.get_by_role("status").filter(has_text="2 jobs")).to_be_visible()
    assert [site.app.jobs.get(id).state.value for id in ids] == ["cancelled", "queued", "cancelled"]
    page.goto(f"{site.url}/ui/audit")
    expect(page.locator("main")).to_contain_text("cancel jobs")
    expect(page.locator("main")).to_contain_text("root")


def test_links_and_forms_of_a_dialog_stay_below_the_mount(mounted: live.Site, visit: Visit) -> None:
    url = f"{mounted.url}/admin/stoker"
    page = visit(f"{url}/ui/jobs", headers=ROOT)
    page.locator("[data-pick]").check()
    page.evaluate("for (const field of document.querySelectorAll('[name=csrf]')) field.value = 'stolen'")
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("403")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("[data-pick]")).to_be_checked()
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog.get_by_role("link", name="Overview").click()
    page.wait_for_url(f"{url}/")
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    page.goto(f"{url}/ui/jobs")
    page.locator("[data-pick]").check()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel 1 job").click()
    expect(page.get_by_role("status").filter(has_text="1 job")).to_be_visible()
    assert page.url.startswith(f"{url}/ui/jobs")


def test_nothing_is_asked_about_no_job(mounted: live.Site, visit: Visit) -> None:
    page = visit(f"{mounted.url}/admin/stoker/ui/jobs", headers=ROOT)
    buttons = [page.get_by_role("button", name=name, exact=True) for name in ("Retry", "Cancel", "Delete")]

    def offered(*, so: bool) -> None:
        for button in buttons:
            expect(button).to_be_enabled(enabled=so)

    offered(so=False)
    expect(page.locator("[data-some]")).to_have_text("0 selected")
    page.locator("[data-pick]").check()
    offered(so=True)
    page.locator("[data-pick]").uncheck()
    offered(so=False)
    page.get_by_label("Which jobs").select_option("All that match")
    offered(so=True)
    expect(page.locator("[data-every]")).to_have_text("all 1 that match")
    expect(page.locator("[data-some]")).to_be_hidden()
    page.get_by_label("Which jobs").select_option("Selected jobs")
    offered(so=False)


@pytest.mark.parametrize("width", [900, 1280, 1366])
def test_every_state_can_be_seen_among_the_tabs(mounted: live.Site, visit: Visit, width: int) -> None:
    page = visit(f"{mounted.url}/admin/stoker/ui/jobs", width=width, headers=ROOT)
    for tab in page.locator(".state-tabs a").all():
        box = tab.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width


def test_the_oldest_ready_job_of_a_queue_can_be_seen_on_a_phone(mounted: live.Site, visit: Visit) -> None:
    page = visit(f"{mounted.url}/admin/stoker/", width=360, headers=ROOT)
    cell = page.locator("[data-live=queues] td").last
    expect(cell).to_have_attribute("data-label", "Oldest ready")
    box = cell.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 360


def test_all_that_match_are_retried(site: Site, visit: Visit) -> None:
    for number in range(60):
        site.task("boom").enqueue(f"no {number}")
    site.start("worker", "--drain").stop_when_done()
    page = visit(f"{site.serve()}/ui/jobs?state=failed", headers=ROOT)
    page.get_by_label("Which jobs").select_option("All that match")
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("button", name=re.compile("retry 60 jobs", re.IGNORECASE)).click()
    expect(page.get_by_role("status").filter(has_text="60 jobs")).to_be_visible()
    assert site.app.jobs.count() == {"queued": 60}


def test_a_job_is_changed_and_enqueued_again(site: Site, visit: Visit) -> None:
    job = site.task("add").using(owner="ada").enqueue(1, b=5)
    page = visit(f"{site.serve()}/ui/jobs/{job.id}", headers=ROOT)
    page.get_by_role("link", name="Edit and enqueue again").click()
    args = page.locator("textarea").first
    args.fill('["not a number"]')
    submit = page.locator("main form button[type=submit], main form button:not([type])").last
    submit.click()
    expect(page.locator("main")).to_contain_text("expected `int`")
    expect(page.locator("textarea").first).to_have_value('["not a number"]')
    page.locator("textarea").first.fill("[20]")
    page.locator("main form button[type=submit], main form button:not([type])").last.click()
    expect(page.locator("[data-live=head]")).to_be_visible()
    other = page.url.rsplit("/", 1)[1].partition("?")[0]
    assert other != job.id
    made = site.app.jobs.get(other)
    assert (made.args, made.kwargs, made.owner) == ([20], {"b": 5}, "ada")


def test_a_queue_is_paused_and_resumed(site: Site, visit: Visit) -> None:
    site.task("add").enqueue(1)
    page = visit(f"{site.serve()}/ui/queues", headers=ROOT)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert [queue.paused for queue in site.app.queues.list()] == [True]
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert [queue.paused for queue in site.app.queues.list()] == [False]


def test_a_worker_is_stopped_from_the_page(site: Site, visit: Visit) -> None:
    worker = site.work()
    page = visit(f"{site.serve()}/ui/workers", headers=ROOT)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("stop", re.IGNORECASE)).click()
    worker.wait()
    expect(page.locator("main")).to_contain_text("No worker is running")


def test_pages_are_reached_by_the_keyboard(site: Site, visit: Visit) -> None:
    ids = [site.task("add").enqueue(number).id for number in range(3)]
    page = visit(site.serve(), headers=ROOT)
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url("**/ui/jobs")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator(f"#job-{ids[1]} [data-pick]")).to_be_checked()
    page.keyboard.press("/")
    expect(page.locator("[data-search]")).to_be_focused()
    page.keyboard.type("jx")
    expect(page.locator("[data-search]")).to_have_value("jx")
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/jobs/0*")


def test_colours_are_chosen_and_stay_so(site: Site, visit: Visit) -> None:
    page = visit(site.serve(), headers=ROOT)

    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = background()
    switch = page.locator("[data-theme-switch]")
    for _ in range(3):
        switch.click()
        if background() != light:
            break
    dark = background()
    assert dark != light
    page.reload()
    assert background() == dark


def test_two_people_see_their_own_jobs(site: Site, visit: Visit) -> None:
    mine = site.task("add").using(owner="ada", tags=["adas"]).enqueue(111)
    other = site.task("boom").using(owner="bob", tags=["bobs"]).enqueue("words of bob")
    url = site.serve()
    page = visit(f"{url}/ui/jobs", headers={"x-user": "ada"})
    expect(page.locator(f"#job-{mine.id}")).to_be_visible()
    expect(page.locator(f"#job-{other.id}")).to_have_count(0)
    assert "bob" not in page.content()
    page.goto(f"{url}/ui/jobs/{other.id}")
    expect(page.locator("h1")).to_be_visible()
    assert "bob" not in page.content()
    page.goto(f"{url}/ui/workers")
    assert page.locator("table").count() == 0
    with suppress(Exception):
        page.goto(url)
    assert "bob" not in page.content()


def test_the_overview_follows_without_a_reload(site: Site, visit: Visit) -> None:
    page = visit(site.serve(), headers=ROOT)
    page.evaluate("window.same = true")
    site.task("add").using(queue="fresh").enqueue(1)
    expect(page.locator("main")).to_contain_text("fresh")
    site.work()
    expect(page.locator("main")).not_to_contain_text("fresh")
    assert page.evaluate("window.same") is True
