"""The picture of a workflow under a person's hands, and the form of a schedule that tells its next times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import places
from browser.site import Site, opened
from stoker import chain

expect.set_options(timeout=30_000)

ROOT = {"x-user": "root"}
Visit = Callable[..., Page]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with places.fresh("sqlite-normal", tmp_path) as place, opened(tmp_path, place) as site:
        site.serve()
        yield site


def view(page: Page) -> tuple[float, ...]:
    """What is seen of the picture: x, y, width, height."""
    said = page.locator(".graph-picture").get_attribute("viewBox")
    assert said is not None
    return tuple(float(part) for part in said.split())


def drag(page: Page, selector: str, by: int) -> None:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    x, y = box["x"] + 40, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by, y, steps=6)
    page.mouse.up()


def test_the_picture_is_zoomed_moved_and_stays_so_while_it_changes(site: Site, visit: Visit):
    steps = site.task("steps")
    flow = chain(steps.call("long", 2), steps.call()).enqueue()
    site.work()
    page = visit(f"{site.url}/ui/workflows/{flow.id}", headers=ROOT)
    expect(page.locator(".node.n-processing")).to_have_count(1)
    whole = view(page)
    page.get_by_role("button", name="Larger").click()
    page.get_by_role("button", name="Larger").click()
    near = view(page)
    assert near[2] < whole[2]
    drag(page, ".node", -120)
    moved = view(page)
    assert moved[0] > near[0]
    assert page.url.endswith(flow.id), "what ends a drag is no click"
    page.locator(".graph").focus()
    page.keyboard.press("ArrowLeft")
    assert view(page)[0] < moved[0]
    kept = view(page)

    site.allow("long", 2)
    expect(page.locator(".node.n-completed")).to_have_count(1)
    assert view(page) == kept, "the person's view of it outlives what is new in it"

    page.keyboard.press("0")
    assert view(page) == whole
    page.locator(".node").first.click()
    expect(page).to_have_url(re.compile(r"/ui/jobs/"))


def test_a_step_that_gets_the_focus_is_brought_into_view(site: Site, visit: Visit):
    add = site.task("add")
    flow = chain(add.call(1), *(add.call() for _ in range(9))).enqueue()
    page = visit(f"{site.url}/ui/workflows/{flow.id}", width=360, headers=ROOT)
    before = view(page)
    page.locator(".node").last.focus()
    after = view(page)
    assert after[0] > before[0]
    last = page.locator(".node > svg").last
    right = float(last.get_attribute("x") or 0) + float(last.get_attribute("width") or 0)
    assert after[0] < right <= after[0] + after[2]


def test_without_scripts_the_picture_is_there_and_scrolls(site: Site, chromium):
    add = site.task("add")
    flow = chain(add.call(1), *(add.call() for _ in range(9))).enqueue()
    context = chromium.new_context(java_script_enabled=False, extra_http_headers=ROOT)
    page = context.new_page()
    page.goto(f"{site.url}/ui/workflows/{flow.id}")
    expect(page.locator(".node")).to_have_count(10)
    frame, picture = page.locator(".graph").bounding_box(), page.locator(".graph-picture").bounding_box()
    assert frame is not None
    assert picture is not None
    assert picture["width"] > frame["width"]
    context.close()


def test_a_schedule_tells_its_next_times_while_it_is_written(site: Site, visit: Visit):
    page = visit(f"{site.url}/ui/schedules/new", headers=ROOT)
    page.get_by_label("When", exact=True).fill("0 9 * * 1")
    expect(page.locator("#times li")).to_have_count(5)
    expect(page.locator("#times")).to_contain_text("every Monday at 09:00")
    page.get_by_label("When", exact=True).fill("every weakday")
    expect(page.locator("#times")).to_contain_text("weakday")
    page.get_by_label("Arguments by position").fill("[1,")
    page.get_by_label("Task", exact=True).select_option("pages.add")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.locator("#args-wrong")).to_be_visible()
    expect(page.get_by_label("When", exact=True)).to_have_value("every weakday")
    page.get_by_label("When", exact=True).fill("every weekday at 9:30")
    page.get_by_label("Arguments by position").fill("[1]")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.get_by_text("The schedule pages.add is made.")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("There are no schedules")).to_be_visible()
