"""`stoker workflows`: see how they stand, cancel them, retry them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from stoker import clock
from stoker.app import Stoker
from stoker.cli import record
from stoker.cli.approval import Approval
from stoker.cli.command import command
from stoker.cli.output import Output, complain, note
from stoker.cli.text import counted, since, span
from stoker.cli.where import Where
from stoker.job import Job, State
from stoker.store import Filter, Page
from stoker.workflow_record import WorkflowRecord

group = typer.Typer(help="See how workflows stand; cancel and retry them.", no_args_is_help=True)

COLUMNS = ("workflow", "state", "progress", "jobs", "begun", "changed", "counts")
STEPS = ("job", "state", "task", "attempt", "progress", "when", "waits for", "note")

_NAMED = 3
"""Tasks that are named of those that a step waits for."""

Id = Annotated[str, typer.Argument(metavar="ID", help="The workflow's id.")]


def row(flow: WorkflowRecord, now: datetime) -> list[str]:
    """A workflow as one line of a list."""
    return [
        flow.id,
        flow.state.value,
        record.percent(flow.progress),
        str(flow.total),
        since(flow.created_at, now),
        since(flow.updated_at, now),
        _counts(flow),
    ]


def _counts(flow: WorkflowRecord) -> str:
    return ", ".join(f"{flow.counts[state]:,} {state.value}" for state in State if flow.counts.get(state))


@command(group, "list", "stoker workflows list", "stoker workflows list -n 10 --json")
def list_workflows(
    where: Where,
    out: Output,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    before: Annotated[str | None, typer.Option("--before", metavar="ID", help="The page after this workflow.")] = None,
) -> None:
    """List workflows, newest first."""
    with where.opened() as app:
        flows = app.workflows.list(limit=limit, before=before)
    if out.json:
        out.data(flows)
        return
    now = _now()
    out.table(COLUMNS, [row(flow, now) for flow in flows], "there are no workflows")
    if len(flows) == limit:
        note(f"there may be more: --before {flows[-1].id}, or a larger --limit")


@command(group, "show", "stoker workflows show 019a1b2c-…", "stoker workflows show 019a1b2c-… --json")
def show(
    where: Where,
    out: Output,
    id: Id,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many of its jobs.")] = 100,
    after: Annotated[str, typer.Option("--after", metavar="ID", help="Its jobs after this one.")] = "",
) -> None:
    """Show how a workflow stands, and its jobs in order: each one's state, and what it waits for."""
    with where.opened() as app:
        flow = app.workflows.get(id)
        jobs = _find(app, Filter(workflow=id), Page(limit, after=after))
        tasks = _tasks_of(app, jobs) if not out.json else {}
    if out.json:
        out.data(msgspec.structs.asdict(flow) | {"jobs": jobs})
        return
    now = _now()
    out.facts(_facts(flow, now))
    out.say("")
    out.table(STEPS, [_step(job, tasks, now) for job in jobs], "it has no jobs after that one")
    if len(jobs) == limit:
        note(f"there may be more: --after {jobs[-1].id}, or a larger --limit")


def _facts(flow: WorkflowRecord, now: datetime) -> list[tuple[str, object]]:
    ended = flow.finished_at
    return [
        ("id", flow.id),
        ("state", flow.state.value),
        ("progress", record.percent(flow.progress)),
        ("jobs", _counts(flow)),
        ("begun", since(flow.created_at, now)),
        ("changed", since(flow.updated_at, now) if ended is None else None),
        ("finished", None if ended is None else since(ended, now)),
        ("took", None if ended is None else span(max(0.0, (ended - flow.created_at).total_seconds()))),
    ]


def _step(job: Job, tasks: Mapping[str, str], now: datetime) -> list[str]:
    return [
        job.id,
        job.state.value,
        job.task,
        f"{job.attempt}/{job.max_attempts + job.crashes}",
        record.percent(job.progress),
        record.when(job, now),
        _waited_for(job, tasks),
        record.told(job),
    ]


def _waited_for(job: Job, tasks: Mapping[str, str]) -> str:
    """The tasks of the jobs that it still waits for, and how many of each."""
    numbers = Counter(tasks.get(parent, parent) for parent in job.open_parents)
    named = [task if number == 1 else f"{number:,} {task}" for task, number in numbers.most_common(_NAMED)]
    left = len(numbers) - len(named)
    return ", ".join(named) + (f", {left:,} other tasks" if left else "")


def _tasks_of(app: Stoker, jobs: Sequence[Job]) -> dict[str, str]:
    """The tasks of these jobs, and of those that they wait for."""
    tasks = {job.id: job.task for job in jobs}
    others = sorted({parent for job in jobs for parent in job.open_parents if parent not in tasks})
    if others:
        tasks |= {job.id: job.task for job in _find(app, Filter(ids=tuple(others)), Page(len(others)))}
    return tasks


def _find(app: Stoker, which: Filter, page: Page) -> list[Job]:
    return app.engine.run(app.engine.connection.store.find(which, page))


@command(
    group,
    "cancel",
    "stoker workflows cancel 019a1b2c-…",
    'stoker workflows cancel 019a1b2c-… --reason "wrong shop" --yes',
)
def cancel(
    where: Where,
    out: Output,
    approval: Approval,
    id: Id,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept with each job.")] = None,
) -> int:
    """Cancel all jobs of a workflow that have not ended. Those that run are told to stop."""
    with where.opened() as app:
        return _change(app, app.workflows.cancel, "cancel", id, approval, out, reason=reason)


@command(
    group,
    "retry",
    "stoker workflows retry 019a1b2c-…",
    "stoker workflows retry 019a1b2c-… --from 019a1b2d-… --yes",
)
def retry(
    where: Where,
    out: Output,
    approval: Approval,
    id: Id,
    step: Annotated[
        str | None, typer.Option("--from", metavar="JOB", help="Only this job, and those that wait for it.")
    ] = None,
) -> int:
    """Run the failed and cancelled jobs of a workflow again; each waits again for what it waited for.

    Jobs that completed stay as they are.
    """
    with where.opened() as app:
        return _change(app, app.workflows.retry, "retry", id, approval, out, step=step)


def _change(
    app: Stoker,
    verb: Callable[..., int],
    name: str,
    id: str,
    approval: Approval,
    out: Output,
    **particulars: Any,
) -> int:
    """Count, ask, do."""
    count = verb(id, **particulars, dry_run=True)
    if not count:
        if out.json:
            out.data({"matched": 0, "changed": 0})
        complain(f"workflow {id} is {app.workflows.get(id).state.value}; there is nothing to {name}")
        return 0 if approval.dry_run else 1
    if not approval.given(name, count, out):
        return 0
    changed = verb(id, **particulars)
    if out.json:
        out.data({"matched": count, "changed": changed})
    past = "retried" if name == "retry" else "cancelled"
    out.say(f"{past} {counted(changed)}; workflow {id} is {app.workflows.get(id).state.value}")
    return 0


def _now() -> datetime:
    return clock.to_datetime(clock.now())
