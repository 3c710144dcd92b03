"""What a person on call does to workflows. Each verb has a sync form and an a-form on one script."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.context import Context
from stoker.engine import Engine
from stoker.errors import InvalidOption
from stoker.plan import Plan
from stoker.step import Step
from stoker.store import Flow, Page
from stoker.workflow import Running, WorkflowHandle, cancel, read, retry
from stoker.workflow_record import WorkflowRecord, record_of

_Records = list[WorkflowRecord]
_Flows = list[Flow]


class Workflows:
    """The workflows of an app. Their jobs are `app.jobs.list(workflow=id)`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, id: str) -> WorkflowRecord:
        """How a workflow stands. Raises `WorkflowNotFound`."""
        return self._engine.play(read(self._engine, id))

    async def aget(self, id: str) -> WorkflowRecord:
        """As `get`."""
        return await self._engine.aplay(read(self._engine, id))

    def handle(self, id: str) -> WorkflowHandle:
        """A handle of a workflow whose id was kept, to wait for its end; it knows no steps, so its result is None."""
        return WorkflowHandle(self._engine, id)

    def list(self, *, limit: int = 50, before: str | None = None) -> Sequence[WorkflowRecord]:
        """Workflows, newest first; `before`: the last id of the page before."""
        flows = self._engine.run(self._list(limit, before))
        return _records(flows)

    async def alist(self, *, limit: int = 50, before: str | None = None) -> Sequence[WorkflowRecord]:
        """As `list`."""
        flows = await self._engine.arun(self._list(limit, before))
        return _records(flows)

    def _list(self, limit: int, before: str | None) -> Plan[_Flows]:
        if limit < 1:
            raise InvalidOption(f"limit must be 1 or more, not {limit}")
        return self._engine.connection.store.flows(None, Page(limit, before))

    def cancel(self, id: str, *, reason: str | None = None, dry_run: bool = False) -> int:
        """Cancel all of its jobs that have not ended; how many. Those that run are told to stop."""
        return self._engine.play(cancel(self._engine, id, reason, dry_run=dry_run))

    async def acancel(self, id: str, *, reason: str | None = None, dry_run: bool = False) -> int:
        """As `cancel`."""
        return await self._engine.aplay(cancel(self._engine, id, reason, dry_run=dry_run))

    def retry(self, id: str, step: Step | str | None = None, *, dry_run: bool = False) -> int:
        """Retry its jobs that failed or were cancelled (with `step`, a job's id: that one, and those after it)."""
        return self._engine.play(retry(self._engine, id, step, dry_run=dry_run))

    async def aretry(self, id: str, step: Step | str | None = None, *, dry_run: bool = False) -> int:
        """As `retry`."""
        return await self._engine.aplay(retry(self._engine, id, step, dry_run=dry_run))

    def running(self, context: Context) -> Running:
        """The workflow of a job that is running: see `Context.workflow`."""
        return Running(self._engine, context)


def _records(flows: _Flows) -> _Records:
    return [record_of(flow) for flow in flows]
