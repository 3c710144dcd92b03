"""The demo in a browser: from form to result, the bar that moves, cancel, a killed worker, two visitors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

expect.set_options(timeout=30_000)

WAIT = 120.0
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Demo:
    """A demo that runs, with 300 texts to search in about three seconds."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    texts = folder / "texts"
    texts.mkdir()
    for number in range(300):
        lines = ["to be or not to be", "a race condition, " * (number % 4), "the end"]
        (texts / f"a-text-with-quite-a-long-name-for-phones-{number:03}.md").write_text("\n".join(lines))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", "demo", "--page", "--path", str(texts), "--slow", "3"],
        env=kept | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(folder)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    bell = threading.Timer(WAIT, process.kill)
    bell.start()
    try:
        assert process.stdout is not None
        said = ""
        while "the page stays up at" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        bell.cancel()  # the tests take as long as they take
        found = re.search(r"^page +(http://\S+)", said, re.MULTILINE)
        assert found is not None
        yield Demo(process, found[1])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT)
        assert process.returncode == 0
    finally:
        bell.cancel()
        process.kill()
        process.communicate()


def begin(page: Page, phrase: str) -> None:
    page.get_by_label("A word or a phrase").fill(phrase)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("progressbar")).to_be_visible()


def held(page: Page) -> None:
    """Have the page of a search stay when the search ends, which on a busy machine may be before it is looked at."""
    page.route("**/searches/*", lambda route: route.fulfill(status=204))  # with no content there is nowhere to go


def told(page: Page, condition: str) -> None:
    """Wait until the bar is told of a record for which this holds."""
    page.evaluate(
        """() => new Promise((done) => {
            document.querySelector("stoker-progress").addEventListener("progress", ({ detail: record }) => {
                if (CONDITION) done();
            });
        })""".replace("CONDITION", condition)
    )


def percent(page: Page) -> int:
    return int(page.get_by_role("progressbar").get_attribute("aria-valuenow") or 0)


def test_from_form_to_result_with_a_bar_that_moves(demo: Demo, visit: Any) -> None:
    page = visit(demo.url)
    seen: list[float | None] = []
    page.expose_function("hear", lambda progress: seen.append(progress))
    page.add_init_script("document.addEventListener('progress', (event) => hear(event.detail.progress))")
    begin(page, "race condition")
    expect(page.locator(".hits li")).to_have_count(10)
    assert seen == sorted(seen, key=lambda progress: progress or 0)
    assert len(set(seen)) > 3
    assert seen[-1] == 1
    expect(page.get_by_text("450 matches")).to_be_visible()
    assert page.locator("mark").first.inner_text() == "race condition"
    assert page.get_by_role("progressbar").count() == 0


def test_what_leads_is_shown_while_it_goes_on(demo: Demo, visit: Any) -> None:
    page = visit(demo.url)
    held(page)
    begin(page, "race condition")
    expect(page.locator("[data-leading]")).to_be_visible()
    expect(page.locator("[data-tally]")).to_contain_text("so far")
    assert page.locator("[data-list] li").count() <= 5


def test_cancel(demo: Demo, visit: Any) -> None:
    page = visit(demo.url)
    begin(page, "not to be")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("because the visitor asked for it")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_the_bar_goes_on_after_the_worker_was_killed(demo: Demo, visit: Any) -> None:
    page = visit(demo.url)
    begin(page, "race condition")
    told(page, "record.progress > 0.2")
    before = percent(page)
    page.evaluate("window.untouched = true")  # lost if the page is loaded anew
    command = page.locator(".hint pre code")
    killed = command.inner_text()
    os.kill(int(killed.split()[-1]), signal.SIGKILL)
    told(page, "record.attempt === 2 && record.state === 'processing'")
    expect(command).not_to_have_text(killed)  # but the worker that is there now
    expect(page.locator(".hint p").first).to_contain_text(f"process {command.inner_text().split()[-1]}.")
    assert page.evaluate("window.untouched")
    assert before > 0
    expect(page.get_by_text("450 matches")).to_be_visible(timeout=WAIT * 1000)
    expect(page.get_by_text("the 2nd went on at file")).to_be_visible()


def test_two_visitors_have_searches_of_their_own(demo: Demo, visit: Any) -> None:
    one, other = visit(demo.url), visit(demo.url)
    begin(one, "the end")
    address = one.url
    begin(other, "to be")
    answer = other.goto(address)
    assert answer is not None
    assert answer.status == 404
    expect(other.get_by_role("heading", name="There is no such search")).to_be_visible()
    other.goto(demo.url)
    expect(other.locator(".before .phrase")).to_have_text(["to be"])
    one.goto(demo.url)
    expect(one.locator(".before .phrase")).to_have_text(["the end"])


def test_the_dashboard_is_a_link_away(demo: Demo, visit: Any) -> None:
    page = visit(demo.url)
    begin(page, "the end")
    page.get_by_role("link", name="Open the dashboard").click()
    expect(page).to_have_url(f"{demo.url}stoker/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_it_is_made_for_the_keyboard(demo: Demo, visit: Any) -> None:
    page = visit(demo.url)
    page.keyboard.type("to be")  # the field has the focus, and what was in it is selected or goes before
    page.keyboard.press("Enter")
    expect(page.get_by_role("progressbar")).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Cancel":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("because the visitor asked for it")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_everybody_can_read_it(demo: Demo, visit: Any, shots: Any, dark: bool, width: int) -> None:
    page = visit(demo.url, dark=dark, width=width)
    look(page, shots, f"demo-form-{width}-{dark}")
    held(page)
    begin(page, "race condition")
    expect(page.locator("[data-leading]")).to_be_visible()
    look(page, shots, f"demo-search-{width}-{dark}", live=True)
    page.unroute_all()
    page.reload()
    expect(page.locator(".hits")).to_be_visible()
    look(page, shots, f"demo-result-{width}-{dark}")
    page.goto(f"{demo.url}searches/nothing")
    look(page, shots, f"demo-missing-{width}-{dark}")


def look(page: Page, shots: Any, name: str, *, live: bool = False) -> None:
    """No barrier that can be found by a program, and nothing that stands out of the page."""
    if shots is not None:
        page.screenshot(path=shots / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    results = Axe().run(page, options=RULES)
    assert results.violations_count == 0, results.generate_report()
    assert live is (page.locator("stoker-progress").count() == 1)
