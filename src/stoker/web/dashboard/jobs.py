"""The list of jobs: to find, to select, and to do something to many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace
from starlette.datastructures import QueryParams
from starlette.responses import Response

from stoker.errors import TookTooLong
from stoker.job import Job, State, is_storable
from stoker.store import Action, Filter
from stoker.store import Page as Window
from stoker.web.answers import WITHIN
from stoker.web.dashboard.amending import Amending
from stoker.web.dashboard.choice import Choice
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.page import Facts, Page, Post, Tab
from stoker.web.dashboard.visit import Visit
from stoker.web.dashboard.words import by_state, call
from stoker.web.desk import Desk
from stoker.web.pieces import pieces
from stoker.web.problem import Problem

_Row = Mapping[str, Any]

HERE: Final = "ui/jobs"
_IN_PAGE: Final = 50


class JobPages:
    """The list, and the question before many jobs are changed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        return [Page(path=f"/{HERE}", template="jobs.html", facts=self._list, tab=Tab("Jobs", "jobs", "j"))]

    @property
    def posts(self) -> Sequence[Post]:
        """To be done."""
        return [Post(path=f"/{HERE}/ask", do=self._ask), Post(path=f"/{HERE}/do", do=self._do)]

    # --- the list ---------------------------------------------------------------------------------------------------

    async def _list(self, visit: Visit) -> Facts:
        choice = Choice(visit.query)
        jobs, newer, older = await self._page(visit, choice.filter)
        counts, estimated = await self._counts(visit, choice)
        return {
            "choice": choice,
            "jobs": jobs,
            "newer": newer,
            "older": older,
            "first": "before" not in visit.query and "after" not in visit.query,
            "counts": counts,
            "estimated": estimated,
            "within": WITHIN,
            "known": await self._known(visit),
        }

    async def _page(self, visit: Visit, which: Filter) -> tuple[list[_Row] | None, str | None, str | None]:
        """The jobs as rows, newest first, and whether there are newer and older ones: the ids between which these are.

        None where the store takes too long to find them.
        """
        before, after = (_place(visit, name) for name in ("before", "after"))
        ask = self._desk.answers.ask
        window = Window(_IN_PAGE + 1, None, after) if after else Window(_IN_PAGE + 1, before)
        try:
            read = pieces(lambda piece, within: ask(visit.reach.find(which, piece), within), window, WITHIN)
            found = [self._row(visit, job) async for job in read]
        except TookTooLong:
            return None, None, None
        more, jobs = len(found) > _IN_PAGE, found[:_IN_PAGE]
        if after:
            jobs.reverse()
        if not jobs:
            return jobs, None, None
        has_newer = more if after else before is not None
        has_older = True if after else more
        return jobs, jobs[0]["id"] if has_newer else None, jobs[-1]["id"] if has_older else None

    def _row(self, visit: Visit, job: Job) -> _Row:
        """What the list says of the job; of a megabyte of arguments it is a line."""
        did, at = latest(job)
        facts = self._desk.presenter.job(job, visit.identity)
        said = call(facts["args"], facts["kwargs"])
        return {**{name: facts[name] for name in _SHOWN}, "said": said, "did": did, "at": at}

    async def _counts(self, visit: Visit, choice: Choice) -> tuple[Mapping[str, int] | None, bool]:
        """How many match, by state, whichever state was chosen; None where that takes too long."""
        which = replace(choice.filter, states=None)
        try:
            if visit.identity.admin and which == Filter():
                totals = await self._desk.numbers.totals()
                return {state.value: count for state, count in totals.counts.items()}, totals.estimated
            name = ("counts", visit.identity, choice.but(state=None))
            return await self._desk.answers.kept(name, lambda: visit.reach.counting(which)), False
        except TookTooLong:
            return None, False

    async def _known(self, visit: Visit) -> Mapping[str, Sequence[str]]:
        """Names to choose from; others than admins are told none, for these are not theirs."""
        if not visit.identity.admin:
            return {"queues": (), "tasks": ()}
        try:
            queues = [queue.name for queue in (await self._desk.numbers.census()).queues]
        except TookTooLong:
            queues = []
        return {"queues": queues, "tasks": sorted(self._desk.app.registry.names)}

    # --- changing many ----------------------------------------------------------------------------------------------

    async def _ask(self, visit: Visit, form: Form) -> Response:
        amending, ask, reach = Amending.of(form), self._desk.answers.ask, visit.reach
        facts: dict[str, Any] = {"amending": amending, "chosen": len(amending.ids), "patience": _PATIENCE}
        facts |= {"count": None, "states": None}
        with suppress(TookTooLong):
            facts["count"] = await ask(reach.eligible(amending.filter, amending.action), _PATIENCE)
            if amending.action is Action.DELETE:  # whoever deletes what has not run should know it
                counts = await ask(reach.counting(amending.filter), _PATIENCE)
                facts["states"] = by_state(counts)
        return visit.show("jobs_ask.html", facts)

    async def _do(self, visit: Visit, form: Form) -> Response:
        amending = Amending.of(form)
        reason = form.text("reason") or None if amending.action is Action.CANCEL else None
        only = amending.ids[0] if len(amending.ids) == 1 else None
        acts = self._desk.acts(visit.reach)
        if only is not None:
            count = await acts.amend_one(only, amending.action, reason)
        else:
            count = await acts.amend(amending.filter, amending.action, reason)
        gone = amending.action is Action.DELETE
        if amending.back and not gone:
            return await visit.go(f"{HERE}/{amending.back}", amending.done(count))
        query = dict(QueryParams(amending.choice.query).items())
        return await visit.go(HERE, amending.done(count), **query)


_SHOWN: Final = (
    *("id", "task", "state", "cancel_requested", "progress", "tags", "error", "message", "queue", "owner", "attempt"),
    *("max_attempts", "crashes"),
)
_PATIENCE: Final = 10.0
"""Seconds in which it must be known how many jobs would be changed."""


def _place(visit: Visit, name: str) -> str | None:
    """The id at which a page ends or begins. Raises a 422 for what no id can be."""
    id = visit.query.get(name) or None
    if id is not None and not is_storable(id):
        raise Problem(422, "invalid-page", f"{name} must be the id of a job")
    return id


def latest(job: Job) -> tuple[str, datetime]:
    """What happened to it last, or will next, and when: what a list says of time."""
    if job.finished and job.finished_at is not None:
        return "ended", job.finished_at
    if job.state is State.PROCESSING and job.started_at is not None:
        return "started", job.started_at
    if job.state is State.WAITING:
        return "enqueued", job.created_at
    return "due", job.run_at
