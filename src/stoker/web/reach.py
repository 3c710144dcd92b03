"""What one identity may see and change. Whatever a route or a page shows of jobs goes through here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from stoker.app import Stoker
from stoker.engine import Engine
from stoker.errors import JobNotFound, WorkflowNotFound
from stoker.job import Job, Log
from stoker.plan import Plan
from stoker.store import Action, Filter, Page
from stoker.web.identity import Identity
from stoker.web.problem import Problem
from stoker.workflow_record import WorkflowRecord

_Ids = Sequence[str]


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
    def who(self) -> Identity:
        """Who asks, where a token is not enough. Raises a 401."""
        if self.identity is None:
            raise Problem(401, "unauthenticated", "say who you are; a token is for following its one job only")
        return self.identity

    @property
    def admin(self) -> Identity:
        """Who asks, where only admins may. Raises a 403."""
        if not self.who.admin:
            raise Problem(403, "admins-only", "only admins see this")
        return self.who

    # --- jobs -------------------------------------------------------------------------------------------------------

    def allows(self, job: Job) -> bool:
        """Whether this job may be seen."""
        return job.id == self._token_for or (self.identity is not None and self.identity.reaches(job.owner))

    async def job(self, id: str) -> Job:
        """The record. Raises `JobNotFound` also where it is another owner's."""
        job = await self._app.jobs.aget(id)
        if not self.allows(job):
            raise JobNotFound(id)
        return job

    async def logs(self, id: str) -> list[Log]:
        """What its attempts logged."""
        await self.job(id)
        return await self._engine.arun(self._engine.connection.store.logs(id))

    def narrowed(self, which: Filter) -> Filter:
        """The same filter, of jobs within reach."""
        return which if self.who.admin else replace(which, owner=self.who.owner)

    def _names_others(self, which: Filter) -> bool:
        return not self.who.admin and which.owner not in (None, self.who.owner)

    def find(self, which: Filter, page: Page) -> Plan[list[Job]]:
        """A page of records that match and are within reach."""
        if self._names_others(which):
            which = Filter(ids=())
        return self._engine.connection.store.find(self.narrowed(which), page)

    async def jobs(self, which: Filter, page: Page) -> list[Job]:
        """As `find`, at once."""
        return await self._engine.arun(self.find(which, page))

    async def amend_one(self, id: str, action: Action, reason: str | None = None) -> int:
        """Cancel, retry, requeue or delete one job; 0: there was nothing to do. Raises `JobNotFound`, `KeyTaken`."""
        if not self.who.reaches((await self.job(id)).owner):
            raise JobNotFound(id)
        return await self._amend(id, action, reason)

    async def amend(self, which: Filter, action: Action, reason: str | None = None, *, dry_run: bool = False) -> int:
        """Do it to all that match within reach; how many, or how many it would be."""
        if self._names_others(which):
            return 0
        return await self._amend(self.narrowed(which), action, reason, dry_run=dry_run)

    async def _amend(self, which: str | Filter, action: Action, reason: str | None, *, dry_run: bool = False) -> int:
        jobs = self._app.jobs
        match action:
            case Action.CANCEL:
                return await jobs.acancel(which, reason=reason, dry_run=dry_run)
            case Action.RETRY:
                return await jobs.aretry(which, dry_run=dry_run)
            case Action.REQUEUE:
                return await jobs.arequeue(which, dry_run=dry_run)
            case Action.DELETE:
                return await jobs.adelete(which, dry_run=dry_run)
            case Action.PRIORITISE:
                raise Problem(422, "invalid-option", "priorities are not changed over HTTP")

    async def count(self, by: str, which: Filter = Filter()) -> dict[str, int]:
        """How many match within reach, by `state`, `queue`, `task` or `owner`."""
        if self._names_others(which):
            return {}
        return await self._app.jobs.acount(by, **_keywords(self.narrowed(which)))

    # --- workflows --------------------------------------------------------------------------------------------------

    async def workflow(self, id: str) -> WorkflowRecord:
        """How a workflow stands. Raises `WorkflowNotFound` also where one of its jobs is out of reach."""
        record = await self._app.workflows.aget(id)
        if not self.who.admin:
            mine = await self.count("state", Filter(workflow=id))
            everything = sum((await self._app.jobs.acount("state", workflow=id)).values())
            if sum(mine.values()) != everything:
                raise WorkflowNotFound(id)
        return record


def _keywords(which: Filter) -> Mapping[str, Any]:
    """A filter as the keywords of `app.jobs`."""
    names = ("states", "queue", "task", "tag", "owner", "workflow", "key", "text")
    return {name: getattr(which, name) for name in names}
