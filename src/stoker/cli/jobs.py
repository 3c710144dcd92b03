"""`stoker jobs`: find jobs, read one, and do something about them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from stoker import clock
from stoker.app import Stoker
from stoker.cli import record, watching
from stoker.cli.approval import Approval
from stoker.cli.command import command
from stoker.cli.output import Output, complain, note
from stoker.cli.selection import Ids, Selection, states
from stoker.cli.text import counted
from stoker.cli.values import age
from stoker.cli.where import Where
from stoker.job import FINAL, Job

group = typer.Typer(help="Find jobs, read one, and do something about them.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Older = Annotated[
    str | None, typer.Option("--older-than", metavar="AGE", help="Unchanged for that long: 30d, 12h, 15m, 90 (s).")
]


@command(
    group,
    "list",
    "stoker jobs list --state failed --task resize",
    "stoker jobs list -s queued,processing --queue mail --json",
)
def list_jobs(
    where: Where,
    out: Output,
    which: Selection,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    before: Annotated[str | None, typer.Option("--before", metavar="ID", help="The page after this job.")] = None,
) -> None:
    """List jobs, newest first."""
    with where.opened() as app:
        jobs = app.jobs.list(limit=limit, before=before, **which.filters(app))
    if out.json:
        out.data(jobs)
        return
    now = clock.to_datetime(clock.now())
    out.table(record.COLUMNS, [record.row(job, now) for job in jobs], "no job matches")
    if len(jobs) == limit:
        note(f"there may be more: --before {jobs[-1].id}, or a larger --limit")


@command(group, "show", "stoker jobs show 019a1b2c-…", "stoker jobs show 019a1b2c-… --json")
def show(where: Where, out: Output, id: Id) -> None:
    """Show everything about a job: its arguments, its errors, what it waits for, and what each attempt logged."""
    with where.opened() as app:
        job, logs = app.jobs.get(id), app.jobs.logs(id)
        if out.json:
            out.data(record.as_data(job, logs))
            return
        out.facts(record.facts(job, record.reason(job, app), logs))


@command(
    group,
    "cancel",
    "stoker jobs cancel 019a1b2c-…",
    'stoker jobs cancel --queue mail --state queued --reason "wrong template"',
)
def cancel(
    where: Where,
    out: Output,
    approval: Approval,
    which: Selection,
    ids: Ids = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept with the job.")] = None,
) -> int:
    """Cancel jobs. One that has not started never starts; a running one is told to stop."""
    with where.opened() as app:
        return _change(app, app.jobs.cancel, "cancel", ids, which, approval, out, reason=reason)


@command(group, "retry", "stoker jobs retry 019a1b2c-…", "stoker jobs retry --state failed --task resize --yes")
def retry(where: Where, out: Output, approval: Approval, which: Selection, ids: Ids = None) -> int:
    """Run failed or cancelled jobs again, with their arguments, their history, and one attempt more."""
    with where.opened() as app:
        return _change(app, app.jobs.retry, "retry", ids, which, approval, out)


@command(group, "delete", "stoker jobs delete 019a1b2c-…", "stoker jobs delete --queue old --dry-run")
def delete(where: Where, out: Output, approval: Approval, which: Selection, ids: Ids = None) -> int:
    """Delete jobs in whatever state, but never one that a living worker is running."""
    with where.opened() as app:
        return _change(app, app.jobs.delete, "delete", ids, which, approval, out, one_asks=True)


@command(group, "requeue", "stoker jobs requeue", "stoker jobs requeue --older-than 15m --yes")
def requeue(where: Where, out: Output, approval: Approval, which: Selection, ids: Ids = None) -> int:
    """Give back jobs that are processing though their worker is dead. Workers do this by themselves, too.

    A job whose worker is alive is never touched.
    """
    with where.opened() as app:
        return _change(app, app.jobs.requeue, "requeue", ids, which, approval, out, one_asks=True, all_is_fine=True)


@command(group, "tidy", "stoker jobs tidy --older-than 7d", "stoker jobs tidy --yes")
def tidy(where: Where, out: Output, approval: Approval, older_than: Older = None) -> int:
    """Delete completed and cancelled jobs; failed ones stay for a person to look at."""
    filters = {} if older_than is None else {"older_than": age(older_than)}
    with where.opened() as app:
        return _done(app.jobs.tidy, "delete", {}, filters, approval, out)


@command(
    group, "purge", "stoker jobs purge --older-than 30d", "stoker jobs purge --state failed --older-than 12h --yes"
)
def purge(
    where: Where,
    out: Output,
    approval: Approval,
    older_than: Older = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", "-s", help="Only completed, failed or cancelled ones.")
    ] = None,
) -> int:
    """Delete finished jobs. Unfinished ones are never touched."""
    chosen = states(state) or sorted(FINAL)
    unfinished = [one.value for one in chosen if one not in FINAL]
    if unfinished:
        raise typer.BadParameter(f"purge never touches unfinished jobs ({', '.join(unfinished)})", param_hint="--state")
    filters = {"states": chosen} | ({} if older_than is None else {"older_than": age(older_than)})
    with where.opened() as app:
        return _done(app.jobs.purge, "delete", {}, filters, approval, out)


@command(group, "dump", "stoker jobs dump jobs.jsonl --state failed", "stoker jobs dump - | gzip > jobs.jsonl.gz")
def dump(
    where: Where,
    which: Selection,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file, or - for standard output.")],
) -> None:
    """Write jobs as JSON lines, with everything that is known of them."""
    with where.opened() as app:
        count = app.jobs.dump(sys.stdout.buffer if path == "-" else path, **which.filters(app))
    note(f"{counted(count)} written")


@command(
    group,
    "import",
    "stoker jobs import jobs.jsonl",
    "stoker jobs dump - --url sqlite:///old.db | stoker jobs import - --url sqlite:///new.db",
)
def import_jobs(
    where: Where,
    out: Output,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file, or - for standard input.")],
) -> None:
    """Put dumped jobs back with their ids, states and history. What is there already is skipped."""
    with where.opened(makes=True) as app:
        count = app.jobs.load(sys.stdin.buffer if path == "-" else path)
    if out.json:
        out.data({"changed": count})
    out.say(f"{counted(count)} put back; those that were there already were skipped")


@command(group, "watch", "stoker jobs watch 019a1b2c-…", "stoker jobs watch 019a1b2c-… --json")
def watch(where: Where, out: Output, id: Id) -> int:
    """Follow a job's progress to its end. Ends with 0 when it completes, with 1 when it fails or is cancelled."""
    with where.opened() as app:
        return watching.follow(app, id, out)


# --- changing many ----------------------------------------------------------------------------------------------------


def _change(
    app: Stoker,
    verb: Callable[..., int],
    name: str,
    ids: list[str] | None,
    which: Selection,
    approval: Approval,
    out: Output,
    *,
    one_asks: bool = False,
    all_is_fine: bool = False,
    **particulars: Any,
) -> int:
    filters = which.filters(app)
    if ids and filters:
        raise typer.BadParameter("give ids or filters, not both")
    if not ids and not filters and not all_is_fine:
        raise typer.BadParameter(f"{name} which jobs? Give ids, or filters such as --queue or --state")
    if ids and len(ids) == 1 and not one_asks and not approval.dry_run:
        return _change_one(app, verb, name, ids[0], out, particulars)
    for id in ids or ():
        app.jobs.get(id)  # an unknown id is an error, not one job less
    return _done(verb, name, {"which": ids} if ids else {}, filters, approval, out, **particulars)


def _change_one(
    app: Stoker, verb: Callable[..., int], name: str, id: str, out: Output, particulars: dict[str, Any]
) -> int:
    changed = verb(id, **particulars)
    job = app.jobs.get(id)
    if out.json:
        out.data({"matched": changed, "changed": changed})
    if not changed:
        complain(f"job {id} is {_standing(job)}; there is nothing to {name}")
        return 1
    out.say(f"job {id} is {_standing(job)}")
    return 0


def _standing(job: Job) -> str:
    return "processing, and told to stop" if job.cancel_requested else job.state.value


def _done(
    verb: Callable[..., int],
    name: str,
    which: dict[str, Any],
    filters: dict[str, Any],
    approval: Approval,
    out: Output,
    **particulars: Any,
) -> int:
    """Count, ask, do."""
    count = verb(**which, **filters, dry_run=True)
    if not approval.given(name, count, out):
        return 0
    changed = verb(**which, **filters, **particulars)
    if out.json:
        out.data({"matched": count, "changed": changed})
    past = "retried" if name == "retry" else f"{name}led" if name == "cancel" else f"{name}d"
    out.say(f"{past} {counted(changed)}")
    return 0
