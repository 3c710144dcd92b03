"""Schedules that would never run, in the form of the dashboard."""

from __future__ import annotations

from datetime import datetime
from html import unescape
from typing import Any

import pytest
from msgspec.structs import replace

from stoker.schedule_store import Put
from web.pages import HTML, Parsed, parsed, post

pytestmark = pytest.mark.asyncio

PAST = "2020-01-31T09:00Z"
GIVEN = {"name": "nightly", "expression": "@daily", "task": "jobs.add", "args": "[1]", "end": PAST}


def fields_of(page: Parsed) -> list[str]:
    """The fields that something is wrong with."""
    return [facts["name"] for _, facts in page.elements if facts.get("aria-invalid") == "true"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (GIVEN, "end"),
        ({**GIVEN, "expression": "0 9 1 1 *", "start": "2030-02-01T00:00Z", "end": "2030-03-01T00:00Z"}, "end"),
        ({**GIVEN, "expression": "0 9 30 2 *", "end": ""}, "expression"),
    ],
)
async def test_a_schedule_that_would_never_run_is_not_made(memory_site: Any, given: dict[str, str], field: str) -> None:
    page = parsed(await post(memory_site.admin, "/ui/schedules/new", given))
    assert fields_of(page) == [field]
    shown = page.fields()
    assert {name: shown[name] for name in ("name", "expression", "end")} == {
        name: given[name] for name in ("name", "expression", "end")
    }
    assert "[1]" in unescape(page.html)
    assert await memory_site.app.schedules.alist() == []


async def test_a_schedule_is_not_changed_so_that_it_would_never_run(memory_site: Any) -> None:
    made = await memory_site.app.schedules.aadd("@daily", "jobs.add", name="nightly", args=[1])
    page = parsed(await post(memory_site.admin, "/ui/schedules/change", GIVEN))
    assert fields_of(page) == ["end"]
    assert "it would never run" in page.text
    assert await memory_site.app.schedules.aget("nightly") == made


async def test_a_schedule_that_has_ended_can_be_changed_otherwise(memory_site: Any) -> None:
    await memory_site.app.schedules.aadd(
        "@daily", "jobs.add", name="nightly", args=[1], end=datetime.fromisoformat(PAST)
    )
    page = parsed(await memory_site.admin.get("/ui/schedules/change?name=nightly", headers=HTML))
    changed = {**GIVEN, "end": page.fields()["end"], "args": "[2]"}
    assert (await post(memory_site.admin, "/ui/schedules/change", changed)).status_code == 303
    assert (await memory_site.app.schedules.aget("nightly")).args == [2]


async def test_a_zone_that_only_another_version_knows_hides_no_page(memory_site: Any) -> None:
    app = memory_site.app
    for name in ("known", "unknown"):
        await app.schedules.aadd("every day at 9:00", "jobs.add", name=name, tz="Europe/Berlin", args=[1])
    store = app.engine.connection.store.schedules
    [theirs] = [one for one in (await app.engine.arun(store.read())).schedules if one.name == "unknown"]
    changed = theirs.document.replace("Europe/Berlin", "Mars/Base")
    assert await app.engine.arun(store.put([Put(replace(theirs, document=changed), ())])) == [True]
    listed = parsed(await memory_site.admin.get("/ui/schedules", headers=HTML))
    assert listed.text.count("every day at 9:00") == 2
    shown = parsed(await memory_site.admin.get("/ui/schedules/one?name=unknown", headers=HTML))
    assert "Mars/Base" in shown.text
    form = parsed(await memory_site.admin.get("/ui/schedules/change?name=unknown", headers=HTML))
    assert form.fields()["tz"] == "Mars/Base"
    refused = parsed(await post(memory_site.admin, "/ui/schedules/change", form.fields()))
    assert fields_of(refused) == ["tz"]
