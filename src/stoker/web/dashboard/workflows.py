"""Workflows: how they stand, the graph of one, and what one can do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from stoker import clock
from stoker.job import Job
from stoker.store import Filter
from stoker.store import Page as Window
from stoker.web.asking import page_of
from stoker.web.dashboard.drawing import MARGIN, Bar, Drawing, draw, listed, shares
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.page import Facts, Page, Post, Tab
from stoker.web.dashboard.visit import Visit
from stoker.web.desk import Desk
from stoker.workflow_record import WorkflowRecord

HERE: Final = "ui/workflows"
MOST: Final = 20_000
"""Jobs of a workflow that is drawn."""
_CHUNK: Final = 1_000
_TIMES: Final = 10
"""A picture is kept so many times as long as it took to make."""
_MOST_KEPT: Final = 32
_MOST_KNOWN: Final = 10_000
_LONGEST_REASON: Final = 1_000


class _Kept(Struct, frozen=True):
    drawing: Drawing | None
    seen: tuple[object, ...]
    """how the workflow stood"""
    until: float
    """on the monotonic clock"""


class Row(Struct, frozen=True):
    """A workflow in the list."""

    record: WorkflowRecord
    bars: Sequence[Bar]
    first: str | None
    """the task that it begins with"""


class WorkflowPages:
    """The list of workflows, and each of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._app = desk.app
        self._pictures: dict[str, _Kept] = {}
        self._first_tasks: dict[str, str | None] = {}

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        tab = Tab("Workflows", "workflows", "w")
        return [
            Page(path=f"/{HERE}", template="workflows.html", facts=self._list, tab=tab),
            Page(path=f"/{HERE}/{{id}}", template="workflow.html", facts=self._one),
        ]

    @property
    def posts(self) -> Sequence[Post]:
        """To be done."""
        return [
            Post(path=f"/{HERE}/{{id}}/cancel", do=self._cancel),
            Post(path=f"/{HERE}/{{id}}/retry", do=self._retry),
        ]

    async def _list(self, visit: Visit) -> Facts:
        page = page_of(visit.query)
        records, after = await visit.reach.workflows(page)
        rows = [Row(record, _bars(record), await self._first_task(record.id)) for record in records]
        return {"rows": rows, "next": after, "before": page.before}

    async def _first_task(self, id: str) -> str | None:
        """The task of its first job, which never changes; None where the job is gone."""
        if id not in self._first_tasks:
            store = self._app.engine.connection.store
            jobs = await self._desk.answers.ask(store.find(Filter(workflow=id), Window(1, after="")))
            self._first_tasks[id] = jobs[0].task if jobs else None
            while len(self._first_tasks) > _MOST_KNOWN:
                del self._first_tasks[next(iter(self._first_tasks))]
        return self._first_tasks.get(id)

    async def _one(self, visit: Visit) -> Facts:
        record = await visit.reach.workflow(visit.params["id"])
        drawing = await self._picture(record)
        return {"record": record, "bars": _bars(record), "drawing": drawing, "margin": MARGIN, "listed": listed}

    # --- the picture ------------------------------------------------------------------------------------------------

    async def _picture(self, record: WorkflowRecord) -> Drawing | None:
        """As it stands, or as it stood a moment ago if it is costly; None where there is too much to draw."""
        if record.total > MOST:
            return None
        seen = (record.updated_at, record.counts)
        kept = self._pictures.get(record.id)
        if kept is None or (kept.seen != seen and kept.until <= clock.monotonic()):
            began = clock.monotonic()
            drawing = draw(record.id, await self._jobs(record.id))
            now = clock.monotonic()
            kept = self._pictures[record.id] = _Kept(drawing, seen, now + _TIMES * (now - began))
            while len(self._pictures) > _MOST_KEPT:
                del self._pictures[next(iter(self._pictures))]
        return kept.drawing

    async def _jobs(self, id: str) -> list[Job]:
        """All of its jobs, oldest first."""
        store = self._app.engine.connection.store
        found: list[Job] = []
        after = ""
        while len(found) <= MOST:
            jobs = await self._desk.answers.ask(store.find(Filter(workflow=id), Window(_CHUNK, after=after)))
            found += jobs
            if len(jobs) < _CHUNK:
                break
            after = jobs[-1].id
        return found

    # --- acting -----------------------------------------------------------------------------------------------------

    async def _cancel(self, visit: Visit, form: Form) -> Response:
        record = await visit.reach.workflow(visit.params["id"])
        if not form.flag("sure"):
            count = await self._app.workflows.acancel(record.id, dry_run=True)
            return await self._ask(visit, "cancel", record, count, None)
        reason = form.text("reason")[:_LONGEST_REASON] or None
        count = await self._desk.acts(visit.reach).cancel_workflow(record.id, reason)
        return await self._back(visit, record, f"{_jobs_are(count)} cancelled; what runs is told to stop.")

    async def _retry(self, visit: Visit, form: Form) -> Response:
        record = await visit.reach.workflow(visit.params["id"])
        step = form.text("step") or None
        if not form.flag("sure"):
            count = await self._app.workflows.aretry(record.id, step, dry_run=True)
            return await self._ask(visit, "retry", record, count, step)
        count = await self._desk.acts(visit.reach).retry_workflow(record.id, step)
        return await self._back(visit, record, f"{_jobs_are(count)} queued again.")

    async def _ask(self, visit: Visit, verb: str, record: WorkflowRecord, count: int, step: str | None) -> Response:
        """Say how many it would be, and ask."""
        if not count:
            return await self._back(visit, record, f"There is nothing to {verb}.")
        job = None if step is None else await visit.reach.job(step)
        facts = {"verb": verb, "record": record, "number": count, "step": job}
        return visit.show("workflow_ask.html", facts)

    async def _back(self, visit: Visit, record: WorkflowRecord, notice: str) -> Response:
        return await visit.go(f"{HERE}/{quote(record.id, safe='')}", notice)


def _bars(record: WorkflowRecord) -> list[Bar]:
    return shares(record.counts, 100, 0.6)


def _jobs_are(count: int) -> str:
    return f"{count:,} {'job is' if count == 1 else 'jobs are'}"
