"""What one identity does through this application, each act with its entry in the audit log.

New jobs and tokens that are asked for over HTTP are no acts: a job is its own record, and a token changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal

import msgspec

from stoker.app import Stoker
from stoker.codec import encode
from stoker.errors import JobNotFound, KeyTaken, WorkerNotFound, WorkflowError
from stoker.job import Inserted, NewJob, is_storable, storable
from stoker.schedule_record import ScheduleRecord
from stoker.store import Action, Filter
from stoker.timing.definition import Misfire, Overlap
from stoker.web.asking import filter_words
from stoker.web.audit import Audit, Note
from stoker.web.present import Presenter, encoded
from stoker.web.problem import Problem
from stoker.web.reach import Reach

Telling = Literal["quiet", "wake", "stop"]

_LONGEST: Final = 1_000
"""Characters of arguments."""
_TOLD: Final = ("tz", "start", "end", "misfire", "overlap", "jitter", "run_on_start")
_USUAL: Final = (None, 0, Misfire.ONE, Overlap.ALLOW)
"""What a schedule is unless somebody says otherwise; it need not be told."""


class Acts:
    """What somebody may do. Nothing is done that is not in the log: the entry is written before the act."""

    def __init__(self, app: Stoker, audit: Audit, presenter: Presenter, reach: Reach) -> None:
        self._app = app
        self._presenter = presenter
        self._audit = audit
        self._reach = reach

    def _noted(self, action: str, target: str, **detail: Any) -> AbstractAsyncContextManager[Note]:
        said = {name: value for name, value in detail.items() if value is not None}
        return self._audit.noted(self._reach.who, action, target, said)

    # --- jobs -------------------------------------------------------------------------------------------------------

    async def amend_one(self, id: str, action: Action, reason: str | None = None) -> int:
        """Cancel, retry, requeue or delete one job; 0: there was nothing to do. Raises `JobNotFound`, `KeyTaken`.

        Also `WorkflowError`: a step whose parent failed is not retried by itself.
        """
        await self._reach.own_job(id)
        async with self._noted(f"{action.value} job", id, reason=reason) as note:
            try:
                note.count = await self._amend(id, action, reason)
            except (KeyTaken, WorkflowError) as error:  # it names a job, which may be somebody else's
                if self._reach.who.admin:
                    raise
                raise _unnamed(error) from error
            return note.count

    async def amend(self, which: Filter, action: Action, reason: str | None = None) -> int:
        """Do it to all that match within reach; how many."""
        async with self._noted(f"{action.value} jobs", filter_words(which), reason=reason) as note:
            note.count = await self._amend(self._reach.narrowed(which), action, reason)
            return note.count

    async def _amend(self, which: str | Filter, action: Action, reason: str | None) -> int:
        jobs = self._app.jobs
        match action:
            case Action.CANCEL:
                return await jobs.acancel(which, reason=reason)
            case Action.RETRY:
                return await jobs.aretry(which)
            case Action.REQUEUE:
                return await jobs.arequeue(which)
            case Action.DELETE:
                return await jobs.adelete(which)
            case Action.PRIORITISE:
                raise Problem(422, "invalid-option", "priorities are not changed over HTTP")

    async def enqueue_again(self, new: NewJob, old: str) -> Inserted:
        """Enqueue a job that was made of an old one; or the one that stands in its place."""
        args, kwargs = msgspec.json.decode(new.payload)
        given = {"queue": new.queue, "owner": new.owner, "key": new.key, **self._shown(new.task, args, kwargs)}
        async with self._noted("enqueue job", new.id, again=old, **given) as note:
            [made] = await self._app.engine.ainsert_jobs([new])
            note.count = int(made.created)
            if not made.created:
                note.detail["instead"] = made.id
            return made

    def _shown(self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, str | None]:
        """Arguments as JSON of a sensible length, secrets left out."""
        shown = self._presenter.arguments(task, args, kwargs)
        texts = (storable(encoded(one).decode(), _LONGEST) if one else None for one in shown)
        return dict(zip(("args", "kwargs"), texts, strict=True))

    # --- workflows --------------------------------------------------------------------------------------------------

    async def cancel_workflow(self, id: str, reason: str | None = None) -> int:
        """Cancel what has not ended of it; how many jobs. Raises `WorkflowNotFound`."""
        await self._reach.workflow(id)
        async with self._noted("cancel workflow", id, reason=reason) as note:
            note.count = await self._app.workflows.acancel(id, reason=reason)
            return note.count

    async def retry_workflow(self, id: str, step: str | None = None) -> int:
        """Retry what failed or was cancelled, from that step on; how many jobs. Raises `WorkflowNotFound`, a 422."""
        await self._reach.workflow(id)
        if step is not None and not is_storable(step):
            raise Problem(422, "invalid-workflow", f"{step!r} is not a step of workflow {id}")
        async with self._noted("retry workflow", id, step=step) as note:
            note.count = await self._app.workflows.aretry(id, step)
            return note.count

    # --- queues -----------------------------------------------------------------------------------------------------

    async def pause_queue(self, name: str) -> None:
        """Let no more of its jobs start."""
        async with self._noted("pause queue", name):
            await self._app.queues.apause(name)

    async def resume_queue(self, name: str) -> None:
        """Let them start again."""
        async with self._noted("resume queue", name):
            await self._app.queues.aresume(name)

    async def limit_queue(self, name: str, concurrency: int | None, rate: str | None, fair: str | None) -> None:
        """Let so much through it from now on; None is unlimited. Raises `InvalidOption`."""
        said = {"concurrency": concurrency, "rate": rate, "fair": fair}
        async with self._audit.noted(self._reach.who, "limit queue", name, said):  # with what is unlimited from now on
            await self._app.queues.alimit(name, concurrency=concurrency, rate=rate, fair=fair)

    # --- schedules --------------------------------------------------------------------------------------------------

    async def save_schedule(self, expression: str, task: str, options: Mapping[str, Any]) -> ScheduleRecord:
        """Make a schedule, or change the one of its name; without `name` it has its task's. Raises `InvalidOption`."""
        schedules = self._app.schedules
        schedules.preview(expression, task, count=0, **options)  # so that mistakes are told before anything is noted
        name = options.get("name") or task
        verb = "change" if any(record.name == name for record in await schedules.alist()) else "add"
        args, kwargs = msgspec.json.decode(encode((options.get("args", ()), options.get("kwargs", {}))))
        given: dict[str, Any] = {"expression": expression, "task": task, **self._shown(task, args, kwargs)}
        given["options"] = self._shown(task, (), options.get("options") or {})["kwargs"]
        given |= {told: options[told] for told in _TOLD if options.get(told) not in _USUAL}
        async with self._noted(f"{verb} schedule", name, **given):
            return await schedules.aadd(expression, task, **options)

    async def pause_schedule(self, name: str) -> ScheduleRecord:
        """Let it fire no more. Raises `ScheduleNotFound`."""
        async with self._noted("pause schedule", name):
            return await self._app.schedules.apause(name)

    async def resume_schedule(self, name: str) -> ScheduleRecord:
        """Let it fire again, from now on. Raises `ScheduleNotFound`."""
        async with self._noted("resume schedule", name):
            return await self._app.schedules.aresume(name)

    async def run_schedule(self, name: str) -> str:
        """Enqueue its job once more, now; the job's id. Raises `ScheduleNotFound`."""
        async with self._noted("run schedule", name) as note:
            handle = await self._app.schedules.arun_now(name)
            try:
                await self._app.jobs.aget(handle.id)
            except JobNotFound:
                note.count = 0
                raise Problem(
                    409,
                    "in-place-of-another",
                    "its job is not there: an unfinished one has its key, or it was not kept",
                ) from None
            note.count, note.detail["job"] = 1, handle.id
            return handle.id

    async def remove_schedule(self, name: str) -> None:
        """Forget it; its jobs stay. Raises `ScheduleNotFound`."""
        async with self._noted("remove schedule", name):
            await self._app.schedules.aremove(name)

    # --- workers ----------------------------------------------------------------------------------------------------

    async def tell_worker(self, id: str, verb: Telling) -> None:
        """Have it claim no more, claim again, or stop. Raises `WorkerNotFound`."""
        if not is_storable(id):
            raise WorkerNotFound(id)
        workers = self._app.workers
        tell = {"quiet": workers.aquiet, "wake": workers.awake, "stop": workers.astop}[verb]
        async with self._noted(f"{verb} worker", id):
            await tell(id)


def _unnamed(error: KeyTaken | WorkflowError) -> Problem:
    """The same without the other job."""
    if isinstance(error, KeyTaken):
        return Problem(409, "key-taken", "an unfinished job has its key: cancel that one, or wait")
    return Problem(422, "invalid-workflow", "a job that it waits for ended badly: retry that one first, or all")
