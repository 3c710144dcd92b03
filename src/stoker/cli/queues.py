"""`stoker queues`: see them, pause them, let them go on."""

from __future__ import annotations

from typing import Annotated

import typer

from stoker.app import Stoker
from stoker.cli.command import command
from stoker.cli.output import Output
from stoker.cli.text import span
from stoker.cli.where import Where
from stoker.store import QueueInfo

group = typer.Typer(help="See queues, pause them, and let them go on.", no_args_is_help=True)

COLUMNS = ("queue", "queued", "processing", "scheduled", "waiting", "oldest", "")

Names = Annotated[list[str], typer.Argument(metavar="QUEUE", help="Names of queues.")]


def row(queue: QueueInfo) -> list[str]:
    """A queue as one line of a list. `oldest`: how long the first queued job has been due."""
    return [
        queue.name,
        str(queue.queued),
        str(queue.processing),
        str(queue.scheduled),
        str(queue.waiting),
        "" if queue.oldest is None else span(queue.oldest),
        "paused" if queue.paused else "",
    ]


@command(group, "list", "stoker queues list", "stoker queues list --json")
def list_queues(where: Where, out: Output) -> None:
    """List queues that have unfinished jobs or were ever paused."""
    with where.opened() as app:
        queues = app.queues.list()
    if out.json:
        out.data(queues)
    else:
        out.table(COLUMNS, [row(queue) for queue in queues], "no queue has unfinished jobs")


@command(group, "pause", "stoker queues pause mail", "stoker queues pause mail reports")
def pause(where: Where, out: Output, names: Names) -> None:
    """Let no more jobs of these queues start, on any worker. Running ones go on; nothing is lost."""
    with where.opened() as app:
        for name in names:
            app.queues.pause(name)
        _tell(app, names, out)


@command(group, "resume", "stoker queues resume mail")
def resume(where: Where, out: Output, names: Names) -> None:
    """Let jobs of these queues start again."""
    with where.opened() as app:
        for name in names:
            app.queues.resume(name)
        _tell(app, names, out)


def _tell(app: Stoker, names: list[str], out: Output) -> None:
    queues = [queue for queue in app.queues.list() if queue.name in names]
    if out.json:
        out.data(queues)
    for queue in queues:
        standing = "paused" if queue.paused else "running"
        out.say(f"{queue.name} is {standing}: {queue.queued} queued, {queue.processing} processing")
