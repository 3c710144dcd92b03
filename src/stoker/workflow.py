"""Workflows: jobs that wait for each other, enqueued together, all or none.

`chain`, `batch` and `Workflow` put calls together; what is enqueued is a `WorkflowHandle`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from stoker import clock
from stoker.bound import BoundCall
from stoker.call import Call
from stoker.context import Context
from stoker.engine import Engine, Script
from stoker.errors import ConfigError, WorkflowError, WorkflowNotFound, WorkflowSealed
from stoker.graph import Batch, Built, Chain, Graph, Part, policy_of
from stoker.handle import JobHandle, not_completed
from stoker.job import Job, NewJob, State
from stoker.parents import cannot_run, missed
from stoker.selection import cancelling
from stoker.step import Step
from stoker.store import Action, Change, Filter, Page
from stoker.workflow_record import WorkflowRecord, record_of

_FIRST_LOOK: Final = 0.005
_LONGEST_PAUSE: Final = 0.25
"""Seconds between two looks for a workflow's end; the pause grows from the first to the longest."""
_PAGE: Final = 1000


class Composite:
    """A chain or a batch, to be enqueued or to be part of another."""

    def __init__(self, part: Chain | Batch) -> None:
        self.part = part

    def __repr__(self) -> str:
        return f"<{type(self.part).__name__} of {len(self.part.parts)}>"

    def enqueue(self, *, connection: Any = None) -> WorkflowHandle:
        """Have it run elsewhere: all of its jobs are made, or none. From sync code."""
        return Workflow.of(self.part).enqueue(connection=connection)

    async def aenqueue(self, *, connection: Any = None) -> WorkflowHandle:
        """As `enqueue`, from async code."""
        return await Workflow.of(self.part).aenqueue(connection=connection)


def chain(*parts: Any) -> Composite:
    """Calls (or chains, or batches) that run one after the other: each result is the next one's first argument.

    `chain(fetch.call(url), parse.call(), store.call("name", previous))`: with `previous` it goes elsewhere. What a
    batch passes on is the list of its results. A step that ends badly has those after it cancelled.
    """
    return Composite(Chain([_part(part) for part in parts]))


def batch(parts: Iterable[Any], *, then: Any = None, on_failure: Any = None, always: Any = None) -> Composite:
    """Calls (or chains, or batches) that run side by side, and calls that are made once, when all have ended:

    `then` if all completed, `on_failure` if one did not, `always` in any case. They get their own arguments only. A
    batch of nothing has completed.
    """
    members = [_part(part) for part in parts]
    return Composite(Batch(members, *(None if one is None else _part(one) for one in (then, on_failure, always))))


def _part(part: Any) -> Part:
    if isinstance(part, Composite):
        return part.part
    if isinstance(part, Call):
        return part
    raise WorkflowError(f"a workflow is made of calls (task.call(…)), chains and batches, not of {part!r}")


class Workflow:
    """A graph of calls: `page = flow.add(fetch.call(url)); flow.add(index.call(page)); flow.enqueue()`."""

    def __init__(self) -> None:
        new_ids = clock.IdSource()
        self.id = new_ids()
        """the id that it has once it is enqueued"""
        self._graph = Graph(self.id, new_ids)
        self._engine: Engine | None = None
        self._decoders: dict[str, Callable[[str], Any]] = {}
        self._whole: Built | None = None

    def __repr__(self) -> str:
        return f"<Workflow {self.id} of {len(self._graph.jobs)} steps>"

    @classmethod
    def of(cls, part: Part) -> Workflow:
        """The workflow that consists of this part."""
        workflow = cls()
        workflow._put(part, (), "cancel")
        return workflow

    def add(self, part: Any, *, after: Step | Iterable[Step] = (), on_parent_failure: str = "cancel") -> Any:
        """Add a call, and return its step; place that where an argument of another call goes to pass its result.

        (It is typed as `Any` so that it fits there.) Of a chain or a batch it returns what these pass on: the last
        step, or a list of steps. It waits for the steps among its arguments and for those in `after`. If one of them
        ends badly it is cancelled (`cancel`), it runs when all have ended, with None for what is missing (`run`), or
        it waits for a person to retry that one (`hold`). Raises `WorkflowError`.
        """
        steps = (after,) if isinstance(after, Step) else tuple(after)
        return self._put(_part(part), steps, on_parent_failure).value

    def _put(self, part: Part, after: Sequence[Step], on_parent_failure: str) -> Built:
        for call in _calls_of(part):
            self._know(call)
        known = len(self._graph.jobs)
        built = self._graph.add(part, after, policy_of(on_parent_failure))
        self._whole = built if not known else None
        return built

    def _know(self, call: Call) -> None:
        if not isinstance(call, BoundCall):
            raise WorkflowError(f"{call!r} belongs to no app; make it with task.call(…)")
        if self._engine is not None and self._engine is not call.engine:
            raise ConfigError("the steps of a workflow must be tasks of one app, for its jobs live in one store")
        self._engine = call.engine
        call.engine.check_importable(call)
        self._decoders[call.task.name] = call.task.results.decode

    def enqueue(self, *, connection: Any = None) -> WorkflowHandle:
        """Have it run elsewhere: all of its jobs are made, or none. From sync code.

        `connection=` makes them part of the caller's own transaction, as with `task.enqueue`.
        """
        engine, jobs = self._ready()
        engine.insert_jobs(jobs, connection)
        return self._handle(engine)

    async def aenqueue(self, *, connection: Any = None) -> WorkflowHandle:
        """As `enqueue`, from async code."""
        engine, jobs = self._ready()
        await engine.ainsert_jobs(jobs, connection)
        return self._handle(engine)

    def _ready(self) -> tuple[Engine, Sequence[NewJob]]:
        if self._engine is None or not self._graph.jobs:
            raise WorkflowError("there is nothing to enqueue: a workflow needs at least one step")
        return self._engine, self._graph.jobs

    def _handle(self, engine: Engine) -> WorkflowHandle:
        value = self._whole.value if self._whole is not None else self._graph.last
        if isinstance(value, list) and self._whole is None and len(value) == 1:
            [value] = value
        return WorkflowHandle(engine, self.id, value, self._decoders)


def _calls_of(part: Part) -> Iterable[Call]:
    if isinstance(part, Call):
        yield part
        return
    inner = list(part.parts)
    if isinstance(part, Batch):
        inner += [one for one in (part.then, part.on_failure, part.always) if one is not None]
    for one in inner:
        yield from _calls_of(one)


class WorkflowHandle:
    """One enqueued workflow. It holds no record: `refresh` reads how it stands now."""

    __slots__ = ("_decoders", "_engine", "_value", "id")

    def __init__(
        self, engine: Engine, id: str, value: Any = None, decoders: Mapping[str, Callable[[str], Any]] | None = None
    ) -> None:
        self._engine = engine
        self._value = value
        self._decoders = decoders or {}
        self.id = id

    def __repr__(self) -> str:
        return f"<WorkflowHandle {self.id}>"

    def __await__(self) -> Generator[Any, None, Any]:
        """What it returns, once all of its jobs have ended: the last result of a chain, the list of those of a batch.

        Of a `Workflow` the result of the step that nothing waits for, or the list of several. Raises `JobFailed` (of
        the first job that failed), `JobCancelled`, `WorkflowNotFound`.
        """
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        pause = _FIRST_LOOK
        while not (await self.arefresh()).finished:
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)
        return await self._engine.aplay(self._outcome())

    def result(self, timeout: float | None = None) -> Any:
        """As awaiting it, for sync code; blocks up to `timeout` seconds (None: without end), then `TimeoutError`."""
        deadline = None if timeout is None else clock.monotonic() + timeout
        pause = _FIRST_LOOK
        while not (record := self.refresh()).finished:
            left = pause if deadline is None else deadline - clock.monotonic()
            if left <= 0:
                raise TimeoutError(f"workflow {self.id} is still {record.state.value} after {timeout:g} s")
            clock.sleep(min(pause, left))
            pause = min(_LONGEST_PAUSE, pause * 1.5)
        return self._engine.play(self._outcome())

    def refresh(self) -> WorkflowRecord:
        """How it stands now. Raises `WorkflowNotFound`."""
        return self._engine.play(read(self._engine, self.id))

    async def arefresh(self) -> WorkflowRecord:
        """How it stands now, from async code."""
        return await self._engine.aplay(read(self._engine, self.id))

    def job(self, step: Step) -> JobHandle[Any]:
        """A handle of the job of a step."""
        return JobHandle(self._engine, step.id, True, self._decoders.get(step.task, msgspec.json.decode))

    def cancel(self, *, reason: str | None = None) -> int:
        """Cancel all of its jobs that have not ended; how many. Those that run are told to stop."""
        return self._engine.play(cancel(self._engine, self.id, reason))

    async def acancel(self, *, reason: str | None = None) -> int:
        """As `cancel`."""
        return await self._engine.aplay(cancel(self._engine, self.id, reason))

    def retry(self, step: Step | str | None = None) -> int:
        """Retry its jobs that failed or were cancelled (with `step`: that one, and those after it); how many.

        Those that completed stay, and what waited for a job waits for it again.
        """
        return self._engine.play(retry(self._engine, self.id, step))

    async def aretry(self, step: Step | str | None = None) -> int:
        """As `retry`."""
        return await self._engine.aplay(retry(self._engine, self.id, step))

    def _outcome(self) -> Script[Any]:
        store = self._engine.connection.store
        for state in (State.FAILED, State.CANCELLED):
            bad = yield store.find(Filter(workflow=self.id, states=(state,)), Page(_PAGE, after=""))
            for job in bad:
                if not job.unneeded:
                    raise not_completed(job)
        if self._value is None:  # made of an id: it knows no steps
            return None
        results = yield store.results([step.id for step in _steps(self._value)])
        return self._resolved(self._value, results)

    def _resolved(self, value: Any, results: Mapping[str, str]) -> Any:
        if isinstance(value, Step):
            decode = self._decoders.get(value.task, msgspec.json.decode)
            return decode(results[value.id]) if value.id in results else None
        return [self._resolved(one, results) for one in value]


def _steps(value: Any) -> Iterable[Step]:
    if isinstance(value, Step):
        yield value
    else:
        for one in value:
            yield from _steps(one)


# --- scripts, for handles and for `app.workflows` ---------------------------------------------------------------------


def read(engine: Engine, id: str) -> Script[WorkflowRecord]:
    """How a workflow stands. Raises `WorkflowNotFound`."""
    found = yield engine.connection.store.flows((id,))
    if not found:
        raise WorkflowNotFound(id)
    return record_of(found[0])


def cancel(engine: Engine, id: str, reason: str | None, *, dry_run: bool = False) -> Script[int]:
    """Cancel what has not ended, in one transaction: else a cancelled job would cancel others for its own sake."""
    yield from read(engine, id)
    store, which, change = engine.connection.store, Filter(workflow=id), cancelling(reason)
    count: int = yield (store.eligible(which, change) if dry_run else store.amend(which, change))
    return count


def retry(engine: Engine, id: str, step: Step | str | None = None, *, dry_run: bool = False) -> Script[int]:
    """Retry what failed or was cancelled: all of it, or from a step on."""
    yield from read(engine, id)
    which = Filter(workflow=id)
    if step is not None:
        name = step.id if isinstance(step, Step) else step
        which = Filter(workflow=id, ids=tuple((yield from _from_step_on(engine, id, name))))
    store, change = engine.connection.store, Change(Action.RETRY)
    count: int = yield (store.eligible(which, change) if dry_run else store.amend(which, change))
    return count


def _from_step_on(engine: Engine, id: str, step: str) -> Script[list[str]]:
    """A step and all that wait for it, however far, but for those that something else keeps from running.

    Raises `WorkflowError` where that is so of the step itself: it would run, and miss the result of its parent.
    """
    jobs: dict[str, Job] = {}
    children: dict[str, list[str]] = {}
    after = ""
    while True:
        page = yield engine.connection.store.find(Filter(workflow=id), Page(_PAGE, after=after))
        for job in page:
            jobs[job.id] = job
            for parent in job.parents:
                children.setdefault(parent, []).append(job.id)
        if len(page) < _PAGE:
            break
        after = page[-1].id
    if step not in jobs:
        raise WorkflowError(f"{step} is not a step of workflow {id}")
    found: dict[str, None] = {}
    waiting = [step]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        missing = next((parent for parent in missed(jobs[name], jobs) if parent.id not in found), None)
        if missing is None:
            found[name] = None
            waiting += children.get(name, ())
        elif name == step:
            raise WorkflowError(f"{cannot_run(step, missing)}: retry from that step on, or all that failed")
    return list(found)


# --- from within -----------------------------------------------------------------------------------------------------


class Running:
    """The workflow of a job that is running, to add steps to: `ctx.workflow.add(resize.call(path))`.

    What waits for the running job waits for what it added as well. A job that is run again after a crash adds the
    same steps again, and each is made once: it is told by its place among the same calls.
    """

    def __init__(self, engine: Engine, context: Context) -> None:
        assert context.workflow_id is not None
        self.id = context.workflow_id
        self._engine = engine
        self._job_id = context.job_id
        self._count: dict[tuple[str, str], int] = {}

    def add(self, call: Call, *, after: Step | Iterable[Step] = (), on_parent_failure: str = "cancel") -> Step:
        """Add a step; it may begin at once. Raises `WorkflowSealed` once the job that adds has ended."""
        job, step = self._new(call, after, on_parent_failure)
        [answer] = self._engine.insert_jobs([job])
        return _made(answer.id, step)

    async def aadd(self, call: Call, *, after: Step | Iterable[Step] = (), on_parent_failure: str = "cancel") -> Step:
        """As `add`, from async code."""
        job, step = self._new(call, after, on_parent_failure)
        [answer] = await self._engine.ainsert_jobs([job])
        return _made(answer.id, step)

    def _new(self, call: Call, after: Step | Iterable[Step], on_parent_failure: str) -> tuple[NewJob, Step]:
        self._engine.check_importable(call)
        steps = (after,) if isinstance(after, Step) else tuple(after)
        place = self._count[call.task.name, call.payload] = self._count.get((call.task.name, call.payload), 0) + 1
        begun = clock.instant_of(self._job_id)
        step = Step(clock.derived_id(begun, self._job_id, call.task.name, call.payload, str(place)), call.task.name)
        parents = tuple(dict.fromkeys((*(one.id for one in steps), *call.parents)))
        policy = policy_of(on_parent_failure)
        job = call.new_job(step.id, parents=parents, on_parent_failure=policy, workflow=self.id, extends=self._job_id)
        return job, step


def _made(id: str, step: Step) -> Step:
    if not id:
        raise WorkflowSealed("the job that adds this step is not running any more, so nothing waits for it")
    return step
