"""What one identity may see, and `Acts` may change. Whatever a route or a page shows of jobs goes through here."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence

from msgspec.structs import replace
from starlette.requests import HTTPConnection
from starlette.types import Scope

from stoker.app import Stoker
from stoker.engine import Engine
from stoker.errors import JobNotFound, WorkflowNotFound
from stoker.job import Job, Log, is_storable
from stoker.plan import Plan
from stoker.store import Action, Change, Facet, Filter, Page
from stoker.web.identity import Identity
from stoker.web.pieces import pieces
from stoker.web.present import stored_key
from stoker.web.problem import Problem
from stoker.workflow_record import WorkflowRecord, record_of


class Reach:
    """The jobs of an owner, or all of them; or, with a token, the one that it is for.

    A job out of reach is not there: `JobNotFound`, with the same words as for an id that never was.
    """

    def __init__(self, app: Stoker, identity: Identity | None, token_for: str | None = None) -> None:
        self._app = app
        self.identity = identity
        self._token_for = token_for

    @property
    def _engine(self) -> Engine:
        return self._app.engine

    @property
    def by_token(self) -> bool:
        """Whether nothing but a token lets it in."""
        return self.identity is None and self._token_for is not None

    @property
    def who(self) -> Identity:
        """Who asks, where a token is not enough. Raises a 401."""
        if self.identity is None:
            raise Problem(401, "unauthenticated", "say who you are; a token is for following its one job only")
        return self.identity

    def check_admin(self) -> None:
        """Raises a 403 for others than admins, a 401 for nobody."""
        if not self.who.admin:
            raise Problem(403, "admins-only", "only admins see this")

    # --- jobs -------------------------------------------------------------------------------------------------------

    def allows(self, job: Job) -> bool:
        """Whether this job may be seen."""
        return job.id == self._token_for or (self.identity is not None and self.identity.reaches(job.owner))

    async def job(self, id: str) -> Job:
        """The record. Raises `JobNotFound` also where it is another owner's."""
        if not is_storable(id):
            raise JobNotFound(id)
        job = await self._app.jobs.aget(id)
        if not self.allows(job):
            raise JobNotFound(id)
        return job

    async def own_job(self, id: str) -> Job:
        """The record of a job that may be changed; a token for it is not enough. Raises `JobNotFound`."""
        who = self.who
        job = await self.job(id)
        if not who.reaches(job.owner):
            raise JobNotFound(id)
        return job

    async def logs(self, job: Job) -> list[Log]:
        """What the attempts of a job that may be changed logged. Raises `JobNotFound`."""
        if not self.who.reaches(job.owner):
            raise JobNotFound(job.id)
        return await self._engine.arun(self._engine.connection.store.logs(job.id))

    def narrowed(self, which: Filter) -> Filter:
        """The same filter, of jobs within reach; keys are as the owner wrote them."""
        who = self.who
        if who.admin:
            return which
        if which.owner not in (None, who.owner):
            return Filter(ids=())
        key = None if which.key is None else stored_key(which.key, who)
        return replace(which, owner=who.owner, key=key)

    def find(self, which: Filter, page: Page) -> Plan[list[Job]]:
        """A page of records that match and are within reach."""
        return self._engine.connection.store.find(self.narrowed(which), page)

    async def jobs(self, which: Filter, page: Page) -> list[Job]:
        """As `find`, at once."""
        return await self._engine.arun(self.find(which, page))

    def eligible(self, which: Filter, action: Action) -> Plan[int]:
        """To how many that match within reach it could be done now."""
        return self._engine.connection.store.eligible(self.narrowed(which), Change(action))

    def counting(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> Plan[dict[str, int]]:
        """How many match within reach, by state, queue, task or owner."""
        return self._engine.connection.store.count(self.narrowed(which), by)

    # --- workflows --------------------------------------------------------------------------------------------------

    async def workflow(self, id: str) -> WorkflowRecord:
        """How a workflow stands. Raises `WorkflowNotFound` also where one of its jobs is out of reach."""
        if not is_storable(id):
            raise WorkflowNotFound(id)
        record = await self._app.workflows.aget(id)
        if not await self._whole(id):
            raise WorkflowNotFound(id)
        return record

    async def workflows(self, page: Page) -> tuple[Sequence[WorkflowRecord], str | None]:
        """Some workflows, newest first, and what to give as `before` for the next ones; None: there are none.

        For others than admins those all of whose jobs are theirs. These are found among the newest of their jobs: a
        page may have fewer than its limit, or none, and still there are more.
        """
        store = self._engine.connection.store
        if self.who.admin:
            flows = await self._engine.arun(store.flows(None, replace(page, limit=page.limit + 1)))
            records = [record_of(flow) for flow in flows[: page.limit]]
            return records, records[-1].id if len(flows) > page.limit else None
        ids, after = await self._own_workflows(page)
        if not ids:
            return [], after
        known = {flow.id: flow for flow in await self._engine.arun(store.flows(ids, Page(len(ids))))}
        return [record_of(known[id]) for id in ids if id in known], after

    async def _own_workflows(self, page: Page) -> tuple[list[str], str | None]:
        """Each is met at its newest job; the place in the list is the id of the last job that was looked at."""
        newest: dict[str, str | None] = {}
        found: list[str] = []
        looked, before = 0, page.before

        def read(piece: Page, _: float) -> Awaitable[list[Job]]:
            return self.jobs(Filter(), piece)

        async for job in pieces(read, Page(_LOOKED, before), math.inf):
            if job.workflow is not None and job.workflow not in newest:
                if len(newest) == _ASKED:
                    return found, before
                newest[job.workflow] = await self._newest_of_whole(job.workflow)
            looked, before = looked + 1, job.id
            if job.workflow is not None and newest[job.workflow] == job.id:
                found.append(job.workflow)
            if len(found) == page.limit:
                return found, before
        return found, before if looked == _LOOKED else None

    async def _newest_of_whole(self, id: str) -> str | None:
        """The id of its newest job; None where one of its jobs is out of reach."""
        newest = await self._engine.arun(self._engine.connection.store.find(Filter(workflow=id), Page(1)))
        mine = bool(newest) and self.allows(newest[0]) and await self._whole(id)
        return newest[0].id if mine else None

    async def _whole(self, id: str) -> bool:
        """Whether all of its jobs are within reach."""
        if self.who.admin:
            return True
        mine = await self._engine.arun(self.counting(Filter(workflow=id)))
        everything = await self._app.jobs.acount("state", workflow=id)
        return sum(mine.values()) == sum(everything.values())


_LOOKED = 4_000
"""Jobs that are looked at to find workflows among them."""
_ASKED = 500
"""Workflows that are asked about: each takes some questions, and most of them may be somebody else's in part."""


# --- where it is found -----------------------------------------------------------------------------------------------


def leave(scope: Scope, reach: Reach) -> None:
    """Have `reach_of` find it wherever this request is dealt with."""
    scope.setdefault("state", {})["reach"] = reach


def reach_of(connection: HTTPConnection) -> Reach:
    """What whoever asks may see, as the gate found out."""
    reach: Reach = connection.state.reach
    return reach


def reach_if_any(connection: HTTPConnection) -> Reach | None:
    """The same, or None where the gate let nobody in."""
    reach: Reach | None = getattr(connection.state, "reach", None)
    return reach
