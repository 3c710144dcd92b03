"""`<stoker-progress>` in a real browser, on pages that allow nothing but scripts of their own site."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from stoker import Stoker
from stoker.job import Failure, Verdict
from web.live import PATIENCE, Puppets, Site, buffering_proxy

expect.set_options(timeout=PATIENCE * 1000)

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; require-trusted-types-for 'script'"
)
STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 sans-serif; margin: 2rem; max-width: 40rem; background: #fff; color: #1c2430; }
@media (prefers-color-scheme: dark) { body { background: #12161c; color: #e6eaf0; } }
stoker-progress { margin-block: 1.5rem; }
"""
RECORDER = """
window.heard = [];
for (const name of ["progress", "completed", "failed", "cancelled"]) {
  document.addEventListener(name, (event) => window.heard.push([name, event.detail.state, event.target.job]));
}
"""


def markup(bar: dict[str, str]) -> str:
    attributes = " ".join(f'{name}="{escape(value)}"' for name, value in bar.items())
    return f"<stoker-progress {attributes}></stoker-progress>"


def around(web: Any) -> Starlette:
    """A site with a page that shows bars, and the application below `/stoker`."""

    async def page(request: Request) -> Response:
        bars = "".join(markup(bar) for bar in json.loads(request.query_params["bars"]))
        head = '<title>Bars</title><link rel="stylesheet" href="/page.css"><script src="/record.js"></script>'
        text = f'<!doctype html><html lang="en"><head>{head}<script src="/stoker/static/progress.js"></script></head>'
        return HTMLResponse(
            f"{text}<body><main><h1>Bars</h1>{bars}</main></body></html>", headers={"content-security-policy": POLICY}
        )

    async def style(_: Request) -> Response:
        return Response(STYLE, media_type="text/css")

    async def recorder(_: Request) -> Response:
        return Response(RECORDER, media_type="text/javascript")

    async def icon(_: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page.css", style),
            Route("/record.js", recorder),
            Route("/favicon.ico", icon),
            Mount("/stoker", app=web),
        ]
    )


@pytest.fixture
def puppets() -> Iterator[Puppets]:
    app = Stoker("memory://", mode="queue")
    yield Puppets(app)
    app.close()


@pytest.fixture
def site(puppets: Puppets) -> Iterator[Site]:
    site = Site(puppets.app, around=around).start()
    yield site
    site.stop()


class Visitor:
    """Opens pages with bars for jobs, each with its token."""

    def __init__(self, visit: Callable[..., Page], puppets: Puppets, site: Site) -> None:
        self._visit = visit
        self._puppets = puppets
        self._site = site

    def token(self, id: str) -> str:
        return self._puppets.app.jobs.handle(id).token()

    def page(self, *ids: str, url: str | None = None, more: dict[str, str] | None = None, **how: Any) -> Page:
        bars = json.dumps([{"job": id, "token": self.token(id)} | (more or {}) for id in ids])
        return self._visit(f"{url or self._site.url}/?bars={bars}".replace("#", "%23"), **how)


@pytest.fixture
def visitor(visit: Callable[..., Page], puppets: Puppets, site: Site) -> Visitor:
    return Visitor(visit, puppets, site)


def bar(page: Page) -> Locator:
    return page.get_by_role("progressbar")


def heard(page: Page) -> list[Any]:
    return page.evaluate("window.heard")


def announced(page: Page) -> Locator:
    return page.get_by_role("status")


def test_the_bar_goes_from_its_place_in_line_to_the_result(visitor, puppets, shots):
    first, id = puppets.enqueue(), puppets.enqueue()
    page = visitor.page(id)
    expect(page.get_by_text("2nd in line")).to_be_visible()
    expect(bar(page)).to_have_attribute("aria-valuetext", "Queued, 2nd in line")
    expect(bar(page)).not_to_have_attribute("aria-valuenow", re.compile(""))
    expect(announced(page)).to_have_text("Queued")
    puppets.claim(1)
    expect(page.get_by_text("next in line")).to_be_visible()
    puppets.claim(1)
    expect(announced(page)).to_have_text("Processing")
    expect(bar(page)).not_to_have_attribute("aria-valuenow", re.compile(""))
    puppets.progress(id, 0.421, "Reading chapter 3 of 7")
    expect(page.get_by_text("42 %")).to_be_visible()
    expect(page.get_by_text("Reading chapter 3 of 7")).to_be_visible()
    expect(bar(page)).to_have_attribute("aria-valuenow", "42")
    expect(announced(page)).to_have_text("Processing")
    assert not page.get_by_role("link").count()
    puppets.end(id, result='"/results/7"')
    expect(bar(page)).to_have_attribute("aria-valuenow", "100")
    expect(announced(page)).to_have_text("Completed")
    expect(page.get_by_role("link", name="Open the result")).to_have_attribute(
        "href", re.compile(r"^http.*/results/7$")
    )
    expect(page.locator("stoker-progress")).to_have_attribute("state", "completed")
    names = [name for name, _, job in heard(page) if job == id]
    assert names[-2:] == ["progress", "completed"]
    assert names.count("completed") == 1
    assert heard(page)[-2][1] == "completed", "who listens to progress alone hears of the end, too"
    assert page.evaluate("document.querySelector('stoker-progress').record.state") == "completed"
    assert first


def test_a_failure_is_told_in_words_and_nothing_of_it_is_markup(visitor, puppets):
    attack = "</span><img src=x onerror=alert(1)>"
    id = puppets.begun()
    puppets.progress(id, 0.5, attack)
    page = visitor.page(id)
    expect(page.get_by_text(attack)).to_be_visible()
    puppets.end(id, verdict=Verdict.FAILED, failure=Failure(attempt=1, type="ValueError", message=attack))
    expect(page.get_by_text(f"ValueError: {attack}", exact=True)).to_be_visible()
    expect(announced(page)).to_have_text(f"Failed: ValueError: {attack}")
    expect(bar(page)).to_have_attribute("aria-valuenow", "50")
    assert [name for name, _, _ in heard(page)][-1] == "failed"


def test_attempts_are_counted_from_the_second_on_and_a_crash_allows_for_one_more(visitor, puppets):
    id = puppets.begun(max_attempts=2)
    page = visitor.page(id)
    expect(announced(page)).to_have_text("Processing")
    puppets.end(id, verdict=Verdict.CRASHED)
    assert puppets.claim() == [id]
    expect(announced(page)).to_have_text("Processing, attempt 2 of 3")


@pytest.mark.parametrize(
    "result", ["javascript:alert(1)", "//evil.example/", "/\\evil.example", "data:text/html,x", "results/7", 7, None]
)
def test_a_result_that_is_no_address_is_no_link(visitor, puppets, result):
    id = puppets.begun()
    puppets.end(id, result=json.dumps(result))
    page = visitor.page(id)
    expect(announced(page)).to_have_text("Completed")
    assert not page.get_by_role("link").count()


def test_a_page_says_where_its_results_are(visitor, puppets):
    id = puppets.begun()
    puppets.end(id, result='"a/b"')
    page = visitor.page(id, more={"result-href": "found/{id}?of={result}", "link-text": "See what was found"})
    link = page.get_by_role("link", name="See what was found")
    expect(link).to_have_attribute("href", re.compile(rf"/found/{id}\?of=a%2Fb$"))


def test_a_cancelled_job_says_why(visitor, puppets):
    id = puppets.enqueue()
    page = visitor.page(id)
    expect(announced(page)).to_have_text("Queued")
    puppets.app.jobs.cancel(id, reason="the visitor thought better of it")
    expect(announced(page)).to_have_text("Cancelled")
    expect(page.get_by_text("the visitor thought better of it")).to_be_visible()
    assert [name for name, _, _ in heard(page)][-1] == "cancelled"


def test_a_scheduled_job_says_when_and_one_that_waits_says_for_how_many(visitor, puppets):
    scheduled, other = puppets.enqueue(delay=300), puppets.begun()
    waiting = puppets.app.engine.connection.store
    id = puppets.app.engine.new_ids()
    from stoker.job import NewJob

    new = NewJob(id=id, task="live.task", payload="[[],{}]", keep_for=10**9, parents=(scheduled, other))
    puppets.app.engine.run(waiting.insert([new]))
    page = visitor.page(scheduled, id, zone=noon())
    expect(page.get_by_text(re.compile(r"^at 1[2-3]?:\d\d"))).to_be_visible()
    expect(page.get_by_text("Waiting for 2 jobs").first).to_be_visible()


def noon() -> str:
    """A time zone in which it is between twelve and one now: no day ends soon."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+}"  # their signs are the other way round


def test_a_deleted_job_and_a_refused_token_are_told(visitor, puppets):
    id = puppets.enqueue()
    page = visitor.page(id)
    expect(announced(page)).to_have_text("Queued")
    puppets.app.jobs.delete(id)
    expect(announced(page)).to_have_text("This job is not there any more")
    other = visitor.page(puppets.enqueue(), more={"token": "made up"})
    expect(announced(other)).to_have_text("This page may not follow the job any more; load it again")


def test_behind_a_proxy_that_holds_streams_up_it_asks_from_time_to_time(visitor, puppets, site):
    id = puppets.begun()
    puppets.progress(id, 0.25)
    with buffering_proxy(site.url) as url:
        page = visitor.page(id, url=url)
        expect(page.get_by_text("25 %")).to_be_visible()
        puppets.progress(id, 0.75)
        expect(page.get_by_text("75 %")).to_be_visible()
        puppets.end(id)
        expect(bar(page)).to_have_attribute("aria-valuenow", "100")
        assert [name for name, _, _ in heard(page)][-1] == "completed"
        page.close()


def test_it_says_that_the_connection_is_lost_and_goes_on_when_it_is_back(visitor, puppets, site):
    id = puppets.begun()
    puppets.progress(id, 0.25)
    page = visitor.page(id)
    expect(page.get_by_text("25 %")).to_be_visible()
    site.stop()
    expect(announced(page)).to_have_text("Connection lost, reconnecting")
    puppets.end(id)
    back = Site(puppets.app, around=around, port=site.port).start()
    try:
        expect(bar(page)).to_have_attribute("aria-valuenow", "100")
        expect(announced(page)).to_have_text("Completed")
    finally:
        page.close()
        back.stop()


def test_without_event_streams_it_asks_from_time_to_time(visitor, puppets):
    id = puppets.begun()
    page = visitor.page(puppets.begun())
    page.evaluate("delete window.EventSource")
    page.evaluate(
        "([id, token]) => Object.assign(document.querySelector('stoker-progress'), { job: id, token })",
        [id, visitor.token(id)],
    )
    puppets.progress(id, 0.5)
    expect(page.get_by_text("50 %")).to_be_visible()
    puppets.end(id)
    expect(bar(page)).to_have_attribute("aria-valuenow", "100")


def test_another_job_in_the_attribute_is_followed_from_then_on(visitor, puppets, site):
    first, second = puppets.begun(), puppets.begun()
    puppets.progress(first, 0.1)
    puppets.progress(second, 0.2)
    page = visitor.page(first)
    expect(page.get_by_text("10 %")).to_be_visible()
    page.evaluate(
        "([id, token]) => Object.assign(document.querySelector('stoker-progress'), { job: id, token })",
        [second, visitor.token(second)],
    )
    expect(page.get_by_text("20 %")).to_be_visible()
    puppets.progress(first, 0.9)
    puppets.progress(second, 0.3)
    expect(page.get_by_text("30 %")).to_be_visible()
    assert page.evaluate("document.querySelector('stoker-progress').record.id") == second
    page.evaluate("document.querySelector('stoker-progress').remove()")
    site.await_quiet()


def test_more_bars_than_a_browser_has_connections_all_reach_their_ends(visitor, puppets):
    ids = [puppets.begun() for _ in range(9)]
    page = visitor.page(*ids)
    for id in ids:
        puppets.progress(id, 0.5)
    expect(page.get_by_text("50 %")).to_have_count(9)
    puppets.end(*ids)
    expect(page.locator("stoker-progress[state=completed]")).to_have_count(9)
    assert sorted(job for name, _, job in heard(page) if name == "completed") == sorted(ids)


def test_a_page_that_nobody_looks_at_gives_its_stream_back(visit, visitor, puppets, site):
    id = puppets.begun()
    page = visitor.page(puppets.begun())
    page.clock.install()
    page.reload()
    page.evaluate(
        "([id, token]) => Object.assign(document.querySelector('stoker-progress'), { job: id, token })",
        [id, visitor.token(id)],
    )
    puppets.progress(id, 0.5)
    expect(page.get_by_text("50 %")).to_be_visible()
    page.evaluate(
        "Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.clock.fast_forward(11_000)
    site.await_quiet()
    page.evaluate("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
    puppets.progress(id, 0.7)
    expect(page.get_by_text("70 %")).to_be_visible()


def test_a_dead_connection_is_found_out(visitor, puppets, site):
    """The stream is silent although the job went on, as after a night in a bag: a look at the page is enough."""
    id = puppets.begun()
    page = visitor.page(puppets.begun())
    page.clock.install()
    page.reload()
    page.evaluate(
        "([id, token]) => {"
        "  const Real = EventSource;"
        "  window.EventSource = class extends Real {"
        "    addEventListener(name, listen) {"
        "      super.addEventListener(name, (event) => window.dead || listen(event));"
        "    }"
        "  };"
        "  Object.assign(document.querySelector('stoker-progress'), { job: id, token });"
        "}",
        [id, visitor.token(id)],
    )
    puppets.progress(id, 0.5)
    expect(page.get_by_text("50 %")).to_be_visible()
    page.evaluate("window.dead = true")
    puppets.end(id)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 16)  # from then on it never looks by itself
    expect(bar(page)).to_have_attribute("aria-valuenow", "50")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(bar(page)).to_have_attribute("aria-valuenow", "100")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_read_it(visitor, puppets, shots: Path | None, dark):
    done, failed, running, unknown, cancelled = (puppets.begun() for _ in range(5))
    puppets.end(done, result='"/results/1"')
    puppets.end(failed, verdict=Verdict.FAILED, progress=0.6)
    puppets.progress(running, 0.42, "Reading chapter 3 of 7")
    puppets.progress(cancelled, 0.3)
    puppets.end(cancelled, verdict=Verdict.CANCELLED, reason="no longer wanted")
    ids = (done, failed, running, unknown, cancelled, puppets.enqueue(), puppets.enqueue(delay=300))
    page = visitor.page(*ids, dark=dark, width=760)
    for state in ("completed", "failed", "processing", "cancelled", "queued", "scheduled"):
        expect(page.locator(f"stoker-progress[state={state}]").first).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": 320, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= 320")
    if shots is not None:
        page.set_viewport_size({"width": 760, "height": 900})
        page.screenshot(path=shots / f"progress-{'dark' if dark else 'light'}.png", full_page=True)


def test_the_script_may_be_loaded_by_pages_of_others(site):
    import httpx

    answer = httpx.get(f"{site.url}/stoker/static/progress.js", timeout=PATIENCE)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    known = {"if-none-match": answer.headers["etag"]}
    again = httpx.get(f"{site.url}/stoker/static/progress.js", headers=known, timeout=PATIENCE)
    assert (again.status_code, again.content) == (304, b"")
