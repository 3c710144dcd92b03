"""Workers: how they are, what they run, and what one can tell them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from starlette.responses import Response

from stoker import clock
from stoker.errors import WorkerNotFound
from stoker.job import Job, State
from stoker.standing import standing
from stoker.store import Filter, Worker
from stoker.store import Page as Window
from stoker.web.acts import Telling
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.page import Facts, Page, Post, Tab
from stoker.web.dashboard.visit import Visit
from stoker.web.dashboard.words import short
from stoker.web.desk import Desk

HERE: Final = "ui/workers"
_MOST_JOBS: Final = 500
_SHOWN_JOBS: Final = 5


class Row(Struct, frozen=True):
    """A worker and what it runs."""

    worker: Worker
    state: str
    """see `standing`"""
    jobs: Sequence[Job]
    """the first few that it runs"""


class WorkerPages:
    """The list of workers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        tab = Tab("Workers", "workers", "k")
        return [Page(path=f"/{HERE}", template="workers.html", facts=self._list, tab=tab, admins_only=True)]

    @property
    def posts(self) -> Sequence[Post]:
        """To be done."""
        return [
            Post(path=f"/{HERE}/quiet", do=self._quiet, admins_only=True),
            Post(path=f"/{HERE}/wake", do=self._wake, admins_only=True),
            Post(path=f"/{HERE}/stop", do=self._stop, admins_only=True),
        ]

    async def _list(self, _: Visit) -> Facts:
        store, answers = self._desk.app.engine.connection.store, self._desk.answers
        workers = (await self._desk.numbers.census()).workers
        running = Filter(states=(State.PROCESSING,))
        jobs = await answers.ask(store.find(running, Window(_MOST_JOBS))) if workers else []
        return {"rows": rows(workers, jobs, clock.now())}

    async def _quiet(self, visit: Visit, form: Form) -> Response:
        if not form.flag("sure"):
            return await self._ask(visit, form, "quiet")
        done = "claims no more jobs. What it runs goes on."
        return await self._tell(visit, form, "quiet", done)

    async def _wake(self, visit: Visit, form: Form) -> Response:
        return await self._tell(visit, form, "wake", "claims jobs again.")

    async def _stop(self, visit: Visit, form: Form) -> Response:
        if not form.flag("sure"):
            return await self._ask(visit, form, "stop")
        done = "is told to stop: it claims no more jobs, gives what it runs its grace, and ends."
        return await self._tell(visit, form, "stop", done)

    async def _ask(self, visit: Visit, form: Form, verb: str) -> Response:
        id = form.exact("worker")
        for worker in await self._desk.app.workers.alist():
            if worker.id == id:
                return visit.show("worker_ask.html", {"worker": worker, "verb": verb})
        raise WorkerNotFound(id)

    async def _tell(self, visit: Visit, form: Form, verb: Telling, done: str) -> Response:
        id = form.exact("worker")
        await self._desk.acts(visit.reach).tell_worker(id, verb)
        return await visit.go(HERE, f"The worker {short(id)} {done}")


def rows(workers: Sequence[Worker], jobs: Sequence[Job], now: int) -> list[Row]:
    """Workers with their state and what they run; the dead ones first, for they need a look."""
    running: dict[str | None, list[Job]] = {}
    for job in jobs:
        running.setdefault(job.worker, []).append(job)
    found = [Row(worker, standing(worker, now), running.get(worker.id, [])[:_SHOWN_JOBS]) for worker in workers]
    return sorted(found, key=lambda row: row.state != "dead")
