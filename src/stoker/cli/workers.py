"""`stoker workers`: who is at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import typer

from stoker import clock
from stoker.cli.command import command
from stoker.cli.output import Output
from stoker.cli.text import span
from stoker.cli.where import Where
from stoker.store import Worker

group = typer.Typer(help="See who is at work.", no_args_is_help=True)

COLUMNS = ("worker", "state", "host", "pid", "running", "queues", "tags", "up", "seen", "version")


def alive(worker: Worker, now: int) -> bool:
    """Whether its lease still runs."""
    return worker.lease_until > now


def row(worker: Worker, now: int) -> list[str]:
    """A worker as one line of a list."""
    return [
        worker.id,
        "alive" if alive(worker, now) else "dead",
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
