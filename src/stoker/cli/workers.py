"""`stoker workers`: who is at work, and a word to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import typer

from stoker import clock
from stoker.app import Stoker
from stoker.cli.command import command
from stoker.cli.output import Output
from stoker.cli.text import counted, span
from stoker.cli.where import Where
from stoker.standing import alive, standing
from stoker.store import Worker

group = typer.Typer(
    help="See who is at work, and tell workers to be quiet, to wake up, or to stop.", no_args_is_help=True
)

COLUMNS = ("worker", "state", "host", "pid", "running", "queues", "tags", "up", "seen", "version")

Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of workers.")]


def row(worker: Worker, now: int) -> list[str]:
    """A worker as one line of a list."""
    return [
        worker.id,
        standing(worker, now),
        worker.host,
        str(worker.pid),
        f"{worker.running}/{worker.concurrency}",
        ", ".join(worker.queues) or "all",
        ", ".join(worker.tags) or "any",
        span(max(0, now - worker.started_at) / clock.SECOND),
        f"{span(max(0, now - worker.seen_at) / clock.SECOND)} ago",
        worker.version,
    ]


def as_data(workers: Sequence[Worker]) -> list[dict[str, Any]]:
    """Workers for programs: instants as times."""
    now = clock.now()
    return [
        msgspec.structs.asdict(worker)
        | {name: clock.to_datetime(getattr(worker, name)) for name in ("started_at", "seen_at", "lease_until")}
        | {"alive": alive(worker, now)}
        for worker in workers
    ]


@command(group, "list", "stoker workers list", "stoker workers list --json")
def list_workers(where: Where, out: Output) -> None:
    """List worker processes that are alive, or whose jobs were not yet taken from them."""
    with where.opened() as app:
        workers = app.workers.list()
    if out.json:
        out.data(as_data(workers))
        return
    now = clock.now()
    out.table(COLUMNS, [row(worker, now) for worker in workers], "no worker is running: stoker worker")


@command(group, "quiet", "stoker workers quiet 5f0c1c5e-…")
def quiet(where: Where, out: Output, ids: Ids) -> None:
    """Have workers claim no more. What they run goes on, they stay, and others get the rest."""
    with where.opened() as app:
        _tell(app, app.workers.quiet, ids, "claims no more", out)


@command(group, "wake", "stoker workers wake 5f0c1c5e-…")
def wake(where: Where, out: Output, ids: Ids) -> None:
    """Have quiet workers claim again. One that is stopping stops all the same."""
    with where.opened() as app:
        _tell(app, app.workers.wake, ids, "claims jobs", out)


@command(group, "stop", "stoker workers stop 5f0c1c5e-…")
def stop(where: Where, out: Output, ids: Ids) -> None:
    """Have workers stop as SIGTERM would: what runs gets the grace, the rest goes back, the process ends.

    A fleet does not replace a worker that was stopped so. What runs the process may: systemd, Kubernetes.
    """
    with where.opened() as app:
        _tell(app, app.workers.stop, ids, "is stopping", out)


def _tell(app: Stoker, verb: Callable[[str], None], ids: Sequence[str], said: str, out: Output) -> None:
    for id in ids:
        verb(id)
    workers = [worker for worker in app.workers.list() if worker.id in ids]
    if out.json:
        out.data(as_data(workers))
    for worker in workers:
        out.say(f"worker {worker.id} {said}; it runs {counted(worker.running)}")
