"""The jobs of an app, as a person on call sees and changes them. Each verb has a sync form and an a-form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from stoker.clock import monotonic, to_span
from stoker.dump import Target, dumped, loaded, opened
from stoker.engine import Engine, Script
from stoker.errors import InvalidOption, KeyTaken, WorkflowError
from stoker.handle import JobHandle
from stoker.job import FINAL, Job, Log, State
from stoker.parents import ENDED_BADLY, cannot_run, needs_results
from stoker.plan import Plan
from stoker.selection import Which, cancelling, facet_of, filter_of, prioritising, purgeable
from stoker.store import Action, Change, Filter, Page, Store

_Jobs = list[Job]
_Logs = list[Log]

_CHUNK: Final = 1000
"""Jobs changed in one transaction, so that nobody waits long for the store."""

_TIDY: Final = (State.COMPLETED, State.CANCELLED)


class Jobs:
    """The jobs of an app. Filters are keywords: `state` (one or several), `queue`, `task`, `tag`, `owner`,
    `workflow`, `key`, `text` (in the arguments), `older_than` (seconds or a timedelta without any change).

    Verbs that change many return how many; with `dry_run=True` how many it would be.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- reading ----------------------------------------------------------------------------------------------------

    def get(self, id: str) -> Job:
        """The record of a job. Raises `JobNotFound`."""
        return self._engine.play(self._engine.get(id))

    async def aget(self, id: str) -> Job:
        """The record of a job. Raises `JobNotFound`."""
        return await self._engine.aplay(self._engine.get(id))

    def logs(self, id: str) -> _Logs:
        """What the attempts of a job said through `ctx.log`, oldest first. Raises `JobNotFound`.

        Of each the last `LONGEST_LOG` characters, of the last `LOGS_KEPT` attempts (see `stoker.job`).
        """
        return self._engine.play(self._logs(id))

    async def alogs(self, id: str) -> _Logs:
        """As `logs`."""
        return await self._engine.aplay(self._logs(id))

    def _logs(self, id: str) -> Script[_Logs]:
        logs: _Logs = yield self._store.logs(id)
        if not logs:
            yield from self._engine.get(id)  # none is known of, or no job is
        return logs

    def handle(self, id: str) -> JobHandle[Any]:
        """A handle of a job whose id was kept, to wait for its result."""
        return JobHandle(self._engine, id, created=False, decode=msgspec.json.decode)

    def list(self, *, limit: int = 50, before: str | None = None, **filters: Any) -> Sequence[Job]:
        """Records that match, newest first; `before`: the last id of the page before."""
        return self._engine.run(self._find(limit, before, filters))

    async def alist(self, *, limit: int = 50, before: str | None = None, **filters: Any) -> Sequence[Job]:
        """As `list`."""
        return await self._engine.arun(self._find(limit, before, filters))

    def _find(self, limit: int, before: str | None, filters: dict[str, Any]) -> Plan[_Jobs]:
        if limit < 1:
            raise InvalidOption(f"limit must be 1 or more, not {limit}")
        return self._store.find(filter_of(None, filters), Page(limit, before))

    def count(self, by: str = "state", **filters: Any) -> dict[str, int]:
        """How many match, by `state`, `queue`, `task` or `owner`."""
        return self._engine.run(self._store.count(filter_of(None, filters), facet_of(by)))

    async def acount(self, by: str = "state", **filters: Any) -> dict[str, int]:
        """As `count`."""
        return await self._engine.arun(self._store.count(filter_of(None, filters), facet_of(by)))

    # --- changing ---------------------------------------------------------------------------------------------------

    def cancel(self, which: Which = None, *, reason: str | None = None, dry_run: bool = False, **filters: Any) -> int:
        """End jobs as cancelled. One that has not started never starts; a running one is told to stop, at once."""
        return self._engine.play(self._amend(which, filters, cancelling(reason), dry_run))

    async def acancel(
        self, which: Which = None, *, reason: str | None = None, dry_run: bool = False, **filters: Any
    ) -> int:
        """As `cancel`."""
        return await self._engine.aplay(self._amend(which, filters, cancelling(reason), dry_run))

    def retry(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """Queue failed and cancelled jobs again, with their arguments, history, and one attempt more.

        A job whose key another unfinished job has taken stays; for a single job that raises `KeyTaken`. A single step
        of a workflow that would miss a parent's result raises `WorkflowError`: retry its parent, or the workflow.
        """
        return self._engine.play(self._amend(which, filters, Change(Action.RETRY), dry_run))

    async def aretry(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """As `retry`."""
        return await self._engine.aplay(self._amend(which, filters, Change(Action.RETRY), dry_run))

    def requeue(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """Give back processing jobs whose worker is not alive. One whose worker is alive is never touched."""
        which = Filter() if which is None and not filters else which
        return self._engine.play(self._amend(which, filters, Change(Action.REQUEUE), dry_run))

    async def arequeue(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """As `requeue`."""
        which = Filter() if which is None and not filters else which
        return await self._engine.aplay(self._amend(which, filters, Change(Action.REQUEUE), dry_run))

    def prioritise(self, which: Which = None, *, priority: int, dry_run: bool = False, **filters: Any) -> int:
        """Give jobs that have not started another priority (-100 to 100)."""
        return self._engine.play(self._amend(which, filters, prioritising(priority), dry_run))

    async def aprioritise(self, which: Which = None, *, priority: int, dry_run: bool = False, **filters: Any) -> int:
        """As `prioritise`."""
        return await self._engine.aplay(self._amend(which, filters, prioritising(priority), dry_run))

    def delete(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """Delete jobs in whatever state, but not those that a living worker is running."""
        return self._engine.play(self._amend(which, filters, Change(Action.DELETE), dry_run))

    async def adelete(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """As `delete`."""
        return await self._engine.aplay(self._amend(which, filters, Change(Action.DELETE), dry_run))

    def purge(self, *, states: Any = tuple(FINAL), dry_run: bool = False, **filters: Any) -> int:
        """Delete finished jobs, of these states, unchanged for `older_than`. Unfinished jobs are never touched."""
        return self._engine.play(self._amend(purgeable(states, filters), {}, Change(Action.DELETE), dry_run))

    async def apurge(self, *, states: Any = tuple(FINAL), dry_run: bool = False, **filters: Any) -> int:
        """As `purge`."""
        return await self._engine.aplay(self._amend(purgeable(states, filters), {}, Change(Action.DELETE), dry_run))

    def tidy(self, *, dry_run: bool = False, **filters: Any) -> int:
        """Delete completed and cancelled jobs; failed ones are kept for a person to look at."""
        return self.purge(states=_TIDY, dry_run=dry_run, **filters)

    async def atidy(self, *, dry_run: bool = False, **filters: Any) -> int:
        """As `tidy`."""
        return await self.apurge(states=_TIDY, dry_run=dry_run, **filters)

    def _amend(self, which: Which, filters: dict[str, Any], change: Change, dry_run: bool) -> Script[int]:
        chosen = filter_of(which, filters)
        if chosen == Filter() and change.action is not Action.REQUEUE and not isinstance(which, Filter):
            raise InvalidOption(f"{change.action.value} which jobs? give an id, ids or a filter (queue=, state=, …)")
        store = self._store
        if isinstance(which, str):
            job = yield from self._engine.get(which)  # an unknown id is an error, not «0 changed»
            if change.action is Action.RETRY:
                yield from self._check_parents(job)
        if dry_run:
            count: int = yield store.eligible(chosen, change)
            return count
        total = 0
        began = monotonic()
        while changed := (yield store.amend(chosen, change, _CHUNK)):
            total += changed
            if isinstance(which, str):
                break
            if change.action is Action.RETRY:  # a job that has failed again meanwhile was retried once already
                since = to_span(monotonic() - began)
                chosen = msgspec.structs.replace(chosen, idle_for=max(chosen.idle_for or 0, since))
        if total == 0 and isinstance(which, str) and change.action is Action.RETRY:
            yield from self._explain(which)
        return total

    def _check_parents(self, job: Job) -> Script[None]:
        """Raises `WorkflowError` where the job would run, and miss the result of a parent that ended badly."""
        if job.parents and needs_results(job):
            which = Filter(ids=tuple(job.parents), states=tuple(ENDED_BADLY))
            for parent in (yield self._store.find(which, Page(1))):
                raise WorkflowError(f"{cannot_run(job.id, parent)}: retry the workflow, or that job first")

    def _explain(self, id: str) -> Script[None]:
        """Say why one job was not retried, where it is its key."""
        job = yield from self._engine.get(id)
        if job.key is None or job.state not in (State.FAILED, State.CANCELLED):
            return
        live = tuple(state for state in State if state not in FINAL)
        holders = yield self._store.find(Filter(key=job.key, states=live), Page(1))
        if holders:
            raise KeyTaken(f"job {id} cannot be retried: the unfinished job {holders[0].id} has its key {job.key!r}")

    # --- moving -----------------------------------------------------------------------------------------------------

    def dump(self, path: Target, **filters: Any) -> int:
        """Write the records that match as JSON lines, oldest first; returns how many.

        So whoever loads them gives them the same order. Jobs that are enqueued meanwhile may be in it or not.
        """
        with opened(path, "wb") as stream:
            return self._engine.play(dumped(self._store, stream, filter_of(None, filters)))

    async def adump(self, path: Target, **filters: Any) -> int:
        """As `dump`."""
        with opened(path, "wb") as stream:
            return await self._engine.aplay(dumped(self._store, stream, filter_of(None, filters)))

    def load(self, path: Target) -> int:
        """Put the records of a dump back with their ids, states and history; returns how many were put back.

        A job whose id is there, or whose key an unfinished job has, is skipped: loading twice changes nothing.
        Raises `InvalidOption` that names the line that is no record; the lines before it were put back.
        """
        with opened(path, "rb") as stream:
            return self._engine.play(loaded(self._store, stream))

    async def aload(self, path: Target) -> int:
        """As `load`."""
        with opened(path, "rb") as stream:
            return await self._engine.aplay(loaded(self._store, stream))

    @property
    def _store(self) -> Store:
        return self._engine.connection.store
