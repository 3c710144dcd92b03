"""`stoker queues`: see them, pause them, let them go on, limit what goes through."""

from __future__ import annotations

from typing import Annotated

import typer

from stoker.app import Stoker
from stoker.cli.command import command
from stoker.cli.output import Output, complain
from stoker.cli.text import span
from stoker.cli.where import Where
from stoker.errors import InvalidOption
from stoker.queue_limit import limit_words
from stoker.store import QueueInfo

group = typer.Typer(help="See queues, pause them, let them go on, and limit them.", no_args_is_help=True)

COLUMNS = ("queue", "queued", "processing", "scheduled", "waiting", "oldest", "limit", "")

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
        ", ".join(limit_words(queue.limit)),
        "paused" if queue.paused else "",
    ]


@command(group, "list", "stoker queues list", "stoker queues list --json")
def list_queues(where: Where, out: Output) -> None:
    """List queues that have unfinished jobs or were ever paused or limited, and what is let through them."""
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


@command(
    group,
    "limit",
    "stoker queues limit mail --concurrency 5 --rate 100/m",
    "stoker queues limit reports --fair owner",
    "stoker queues limit mail",
)
def limit(
    where: Where,
    out: Output,
    name: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.")],
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", min=1, help="So many of its jobs at once, over all workers.")
    ] = None,
    rate: Annotated[str | None, typer.Option("--rate", metavar="N/UNIT", help="100/m, 5/s, 1/10s: a bucket.")] = None,
    fair: Annotated[
        str | None, typer.Option("--fair", metavar="owner|ARG", help="Take turns by owner, or by an argument.")
    ] = None,
) -> int:
    """Let so much through a queue from now on, over all workers; what is not given is unlimited.

    It takes the place of the limit before; running jobs go on. With --fair, jobs of each owner (or of each value of the
    argument that tasks of the app name with by=) take turns.
    """
    with where.opened() as app:
        try:
            app.queues.limit(name, concurrency=concurrency, rate=rate, fair=fair)
        except InvalidOption as error:
            complain(str(error))
            return 2
        queues = [queue for queue in app.queues.list() if queue.name == name]
    if out.json:
        out.data(queues)
    for queue in queues:
        out.say(f"{name} lets through: {', '.join(limit_words(queue.limit)) or 'everything'}")
    return 0


def _tell(app: Stoker, names: list[str], out: Output) -> None:
    queues = [queue for queue in app.queues.list() if queue.name in names]
    if out.json:
        out.data(queues)
    for queue in queues:
        standing = "paused" if queue.paused else "running"
        out.say(f"{queue.name} is {standing}: {queue.queued} queued, {queue.processing} processing")
