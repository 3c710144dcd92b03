"""Queues: how deep they are, how long the first job has waited, and what is let through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from starlette.responses import Response

from stoker import clock
from stoker.options import concurrency_of, rate_of
from stoker.queue_limit import limit_words, rate_in
from stoker.standing import alive
from stoker.store import Fair, QueueInfo, QueueLimit
from stoker.tally_store import MINUTE, Tally
from stoker.web.asking import queue_name
from stoker.web.dashboard.draft import Draft
from stoker.web.dashboard.fields import whole_number
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.page import Facts, Page, Post, Tab
from stoker.web.dashboard.spark import Spark, spark
from stoker.web.dashboard.visit import Visit
from stoker.web.desk import Desk

HERE: Final = "ui/queues"
_FIELDS: Final = ("concurrency", "rate", "fair")
_MINUTES: Final = 60


class Row(Struct, frozen=True):
    """A queue and what it did in the last hour."""

    info: QueueInfo
    limit: Sequence[str]
    """what is let through it, in words"""
    hour: Spark


class QueuePages:
    """The list of queues, and the form of their limits."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        tab = Tab("Queues", "queues", "q")
        return [
            Page(path=f"/{HERE}", template="queues.html", facts=self._list, tab=tab, admins_only=True),
            Page(path=f"/{HERE}/limit", template="queue_limit.html", facts=self._ask_limit, admins_only=True),
        ]

    @property
    def posts(self) -> Sequence[Post]:
        """To be done."""
        return [
            Post(path=f"/{HERE}/pause", do=self._pause, admins_only=True),
            Post(path=f"/{HERE}/resume", do=self._resume, admins_only=True),
            Post(path=f"/{HERE}/limit", do=self._limit, admins_only=True),
        ]

    async def _list(self, _: Visit) -> Facts:
        numbers, now = self._desk.numbers, clock.now()
        census = await numbers.census()
        served = any(alive(worker, now) for worker in census.workers)
        return {"rows": rows(census.queues, await numbers.last_hour(), now), "served": served}

    # --- pausing ----------------------------------------------------------------------------------------------------

    async def _pause(self, visit: Visit, form: Form) -> Response:
        name = queue_name(form.exact("queue"))
        await self._desk.acts(visit.reach).pause_queue(name)
        return await visit.go(HERE, f"The queue {name} is paused: none of its jobs starts. What runs goes on.")

    async def _resume(self, visit: Visit, form: Form) -> Response:
        name = queue_name(form.exact("queue"))
        await self._desk.acts(visit.reach).resume_queue(name)
        return await visit.go(HERE, f"The queue {name} goes on.")

    # --- limits -----------------------------------------------------------------------------------------------------

    async def _ask_limit(self, visit: Visit) -> Facts:
        name = queue_name(visit.query.get("queue", ""))
        limit = next((queue.limit for queue in await self._desk.app.queues.alist() if queue.name == name), QueueLimit())
        return self._form_facts(name, Draft(self._texts(limit)))

    async def _limit(self, visit: Visit, form: Form) -> Response:
        name = queue_name(form.exact("queue"))
        draft = Draft.of(form, _FIELDS)
        concurrency = draft.read("concurrency", lambda text: concurrency_of("concurrency", whole_number(text)), None)
        rate = draft.read("rate", lambda text: text if rate_of("rate", text) else None, None)
        fair = draft.texts["fair"] or None
        if not draft.errors:
            with draft.checking("fair"):
                await self._desk.acts(visit.reach).limit_queue(name, concurrency, rate, fair)
        if draft.errors:
            return visit.show("queue_limit.html", self._form_facts(name, draft), 422)
        at_once, turns = concurrency and f"{concurrency:,} at once", fair and f"fair by {fair}"
        through = ", ".join(part for part in (at_once, rate, turns) if part) or "everything"
        return await visit.go(HERE, f"The queue {name} lets through: {through}.")

    def _form_facts(self, name: str, draft: Draft) -> Facts:
        return {"name": name, "draft": draft, "shares": self._shares()}

    def _texts(self, limit: QueueLimit) -> Mapping[str, str]:
        shares = self._shares()
        fair = "" if limit.fair is None else "owner" if limit.fair is Fair.OWNER else next(iter(shares), "owner")
        return {"concurrency": str(limit.concurrency or ""), "rate": rate_in(limit) or "", "fair": fair}

    def _shares(self) -> Sequence[str]:
        """Arguments that tasks name with `by`."""
        named = {task.options.by for task in self._desk.app.registry}
        return sorted(name for name in named if name is not None and name != "owner")


def rows(queues: Sequence[QueueInfo], tallies: Sequence[Tally], now: int) -> list[Row]:
    """Queues with what they did in the last hour; also those that did something and are empty now."""
    known = {queue.name: queue for queue in queues}
    names = sorted({*known, *(tally.queue for tally in tallies)})
    hours = {name: ([0] * _MINUTES, [0] * _MINUTES) for name in names}
    first = now // MINUTE - _MINUTES + 1
    for tally in tallies:
        minute = tally.at // MINUTE - first
        if 0 <= minute < _MINUTES:
            done, failed = hours[tally.queue]
            done[minute] += tally.completed
            failed[minute] += tally.failed
    infos = [known.get(name) or QueueInfo(name=name) for name in names]
    return [Row(info, limit_words(info.limit), spark(*hours[info.name])) for info in infos]
