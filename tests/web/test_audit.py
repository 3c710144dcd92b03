"""The audit log: nothing is done that is not in it, and it says how each act ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stoker.errors import StoreUnavailable
from stoker.job import State
from stoker.store import Filter
from stoker.web.asking import filter_words

pytestmark = pytest.mark.asyncio


async def entries(site: Any) -> list[dict[str, Any]]:
    """What the log says, newest first."""
    found = await site.app.engine.arun(site.app.engine.connection.store.audit.read())
    detail = [{} if entry.detail is None else msgspec.json.decode(entry.detail) for entry in found]
    return [
        {"who": entry.who, "did": entry.action, "to": entry.target, "count": entry.count, **more}
        for entry, more in zip(found, detail, strict=True)
    ]


async def test_an_entry_is_there_before_the_act(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an act whose process is killed in its midst is in the log."""
    seen = []

    async def look(*_: Any, **__: Any) -> int:
        seen.extend(await entries(site))
        return 3

    monkeypatch.setattr(site.app.jobs, "acancel", look)
    said = await site.ann.post("/jobs/cancel", json={"filter": {"queue": "mail"}, "reason": "enough"})
    assert said.json() == {"count": 3}
    did = {"who": "ann", "did": "cancel jobs", "to": "queue=mail", "reason": "enough"}
    assert seen == [{**did, "count": None}]
    assert await entries(site) == [{**did, "count": 3}]


async def test_what_cannot_be_written_down_is_not_done(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await site.enqueue()

    def full(*_: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(site.app.engine.connection.store.audit, "write", full)
        assert (await site.ann.post(f"/jobs/{job.id}/cancel")).status_code == 503
        assert (await site.admin.post("/queues/mail/pause")).status_code == 503
    assert (await site.app.jobs.aget(job.id)).state is State.QUEUED
    assert not any(queue.paused for queue in await site.app.queues.alist())


async def test_an_act_that_fails_is_in_the_log_with_its_error(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any, **__: Any) -> int:
        raise StoreUnavailable("the server went away")

    monkeypatch.setattr(site.app.queues, "apause", fails)
    assert (await site.admin.post("/queues/mail/pause")).status_code == 503
    did = {"who": "admin", "did": "pause queue", "to": "mail", "count": None}
    assert await entries(site) == [{**did, "error": "the server went away"}]


async def test_what_was_done_is_not_denied_because_the_log_went_away(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await site.enqueue()
    audit = site.app.engine.connection.store.audit
    write = audit.write

    def once(entry: Any) -> Any:
        if entry.count is not None:
            raise StoreUnavailable("gone meanwhile")
        return write(entry)

    with monkeypatch.context() as patched:
        patched.setattr(audit, "write", once)
        assert (await site.ann.post(f"/jobs/{job.id}/cancel")).json()["state"] == "cancelled"
    assert await entries(site) == [{"who": "ann", "did": "cancel job", "to": job.id, "count": None}]


async def test_what_is_out_of_reach_cannot_fill_the_log(site: Any) -> None:
    job = await site.enqueue("bob")
    for path in (f"/jobs/{job.id}/cancel", "/jobs/nothing/retry", "/workflows/nothing/cancel", "/queues/mail/pause"):
        assert (await site.ann.post(path)).status_code in {403, 404}
    assert (await site.ann.post("/jobs/cancel", json={"filter": {"queue": "mail"}, "dry_run": True})).is_success
    assert await entries(site) == []


async def test_filters_are_written_as_people_write_them() -> None:
    everything = Filter(
        ids=("a", "b"),
        states=(State.FAILED, State.CANCELLED),
        queue="mail",
        task="send",
        tag="t",
        owner="ann",
        workflow="w",
        key="k",
        text="x y",
        idle_for=90_500_000,
    )
    assert filter_words(everything) == (
        "state=failed,cancelled queue=mail task=send owner=ann tag=t workflow=w key=k text=x y older_than=90.5 a, b"
    )
    assert filter_words(Filter()) == "all jobs"
