"""One job: its life, what it was given, what it said, what came of it; and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import Response

from stoker import clock
from stoker.clock import to_datetime
from stoker.errors import TookTooLong, UnknownTask
from stoker.job import LIVE, Job, State
from stoker.step import filled, needs
from stoker.store import Action, Filter
from stoker.store import Page as Window
from stoker.task import Task
from stoker.web.dashboard import timeline
from stoker.web.dashboard.again import FIELDS, begun, enqueue
from stoker.web.dashboard.draft import Draft
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.jobs import HERE
from stoker.web.dashboard.page import Facts, Page, Post
from stoker.web.dashboard.visit import Visit
from stoker.web.dashboard.words import address
from stoker.web.desk import Desk
from stoker.web.present import encoded
from stoker.web.problem import Problem

_PARENTS: Final = 50
"""Parents that are listed."""


class Blanks(Struct, frozen=True):
    """What a form does not say, though the job did."""

    secret: Sequence[str]
    """names of arguments"""
    unknown: Sequence[str]
    """ids of steps whose results are not there; null stands in their place"""


class JobPage:
    """One job, and the form with which another is made of it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        return [
            Page(path=f"/{HERE}/{{id}}", template="job.html", facts=self._facts),
            Page(path=f"/{HERE}/{{id}}/again", template="job_again.html", facts=self._again),
        ]

    @property
    def posts(self) -> Sequence[Post]:
        """To be done."""
        return [
            Post(path=f"/{HERE}/{{id}}/retry", do=self._retry),
            Post(path=f"/{HERE}/{{id}}/again", do=self._enqueue),
        ]

    async def _facts(self, visit: Visit) -> Facts:
        job = await visit.reach.own_job(visit.params["id"])
        shown = self._desk.presenter.job(job, visit.identity)
        logs = await visit.reach.logs(job)
        return {
            "job": shown,
            "moments": timeline.moments(job),
            "track": timeline.track(job, to_datetime(clock.now())),
            "attempts": timeline.attempts(job.attempt, shown["errors"], logs),
            "parents": await self._parents(visit, job),
            "place": await self._place(job),
            "links": _links(job.result),
            "live": job.state in LIVE,
            "may_retry": job.state in (State.FAILED, State.CANCELLED),
            "may_delete": job.state is not State.PROCESSING,
            "may_again": self._declares(visit, job),
        }

    async def _parents(self, visit: Visit, job: Job) -> Sequence[tuple[str, str | None]]:
        """Ids of the jobs that it waited for, and their states where these are known and within reach."""
        ids = job.parents[:_PARENTS]
        if not ids:
            return []
        found = await visit.reach.jobs(Filter(ids=ids), Window(len(ids)))
        states = {parent.id: parent.state.value for parent in found}
        return [(id, states.get(id)) for id in ids]

    async def _place(self, job: Job) -> int | None:
        """How many stand before it; None where that is not known."""
        if job.state is not State.QUEUED:
            return None
        store = self._desk.app.engine.connection.store
        try:
            front = await self._desk.answers.kept(("front", job.queue), lambda: store.front(job.queue))
        except TookTooLong:
            return None
        return front.index(job.id) if job.id in front else None

    def _declares(self, visit: Visit, job: Job) -> bool:
        """Whether another job can be made of it here."""
        try:
            self._task(visit, job.task)
        except UnknownTask:
            return False
        return True

    def _task(self, visit: Visit, name: str) -> Task:
        """The task of that name, if this app declares it and this identity may enqueue it."""
        registry = self._desk.app.registry
        if not visit.identity.admin and registry.exposed(name).name != name:
            raise UnknownTask(f"no task that may be enqueued here is called {name!r}")
        return registry.get(name)

    async def _retry(self, visit: Visit, _: Form) -> Response:
        id = visit.params["id"]
        if not await self._desk.acts(visit.reach).amend_one(id, Action.RETRY):
            raise Problem(409, "cannot-retry", "only failed and cancelled jobs are retried; this one is neither")
        return await visit.go(f"{HERE}/{id}", "The job is queued again.")

    # --- again ------------------------------------------------------------------------------------------------------

    async def _again(self, visit: Visit) -> Facts:
        if self._desk.config.read_only:
            raise Problem(403, "read-only", "this server is read-only: nothing can be enqueued through it")
        job = await visit.reach.own_job(visit.params["id"])
        draft, blanks = await self._begun(visit, job, self._task(visit, job.task))
        return self._form(visit, job, draft, blanks)

    async def _enqueue(self, visit: Visit, form: Form) -> Response:
        job = await visit.reach.own_job(visit.params["id"])
        task = self._task(visit, job.task)
        draft = Draft.of(form, FIELDS)
        made = await enqueue(self._desk, task, draft, visit.reach, job.id)
        if made is None:
            _, blanks = await self._begun(visit, job, task)
            return visit.show("job_again.html", self._form(visit, job, draft, blanks), 422)
        if not made.created:
            return await visit.go(
                f"{HERE}/{made.id}", "No job was made: this unfinished one stands in its place (by its key or guard)."
            )
        return await visit.go(f"{HERE}/{made.id}", "This is the new job.")

    async def _begun(self, visit: Visit, job: Job, task: Task) -> tuple[Draft, Blanks]:
        """The form as it is at first, with the results of other steps where they belong."""
        unknown: Sequence[str] = ()
        if isinstance(job.overrides, Mapping) and job.overrides.get("fill") is not None:
            payload = encoded((job.args, job.kwargs)).decode()
            ids = needs(payload)
            steps = await visit.reach.jobs(Filter(ids=tuple(ids), states=(State.COMPLETED,)), Window(max(1, len(ids))))
            results = {step.id: encoded(step.result).decode() for step in steps}
            args, kwargs = msgspec.json.decode(filled(payload, results, lenient=True))
            job = replace(job, args=args, kwargs=kwargs)
            unknown = [id for id in ids if id not in results]
        draft, secret = begun(task, self._desk.presenter.job(job, visit.identity))
        return draft, Blanks(secret, unknown)

    def _form(self, visit: Visit, job: Job, draft: Draft, blanks: Blanks) -> Facts:
        offered = FIELDS if visit.identity.admin else [name for name in FIELDS if name in self._allowed]
        return {"job": {"id": job.id, "task": job.task}, "draft": draft, "blanks": blanks, "offered": offered}

    @property
    def _allowed(self) -> frozenset[str]:
        return self._desk.config.options | {"args", "kwargs"}


def _links(result: Any) -> Sequence[tuple[str, str]]:
    """Web addresses in a result, and what they are called there."""
    if isinstance(result, Mapping):
        return [(str(name), value) for name, value in list(result.items())[:20] if address(value)]
    return [("result", result)] if address(result) else []
