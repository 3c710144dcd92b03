"""`stoker top`: queues, workers and running jobs, as they change."""

from __future__ import annotations

from typing import Annotated

import typer
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from stoker import clock
from stoker.app import Stoker
from stoker.cli import queues, record, workers
from stoker.cli.command import command
from stoker.cli.output import Output, console, rich_table
from stoker.cli.text import line
from stoker.cli.where import Where
from stoker.job import Job, State
from stoker.store import Census

ROWS = 15
"""Jobs shown at once."""


class View(Struct, frozen=True):
    """What there is to see at one moment."""

    place: str
    census: Census
    processing: list[Job]
    failed: list[Job]


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(group, "top", "stoker top", "stoker top --once", panel="Operate")(top)


def top(
    where: Where,
    out: Output,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch queues, workers and running jobs. Ctrl-C ends it."""
    with where.opened() as app:
        view = look(app)
        if out.json:
            data = {"queues": view.census.queues, "workers": workers.as_data(view.census.workers)}
            out.data(data | {"processing": view.processing, "failed": view.failed})
        elif once or out.plain:
            _print(view, out)
        else:
            _live(app, view, every)


def look(app: Stoker) -> View:
    """What there is to see now. Asks only for what stays cheap however many jobs there are."""
    return View(
        app.engine.connection.driver.place,
        app.engine.run(app.engine.connection.store.census()),
        list(app.jobs.list(state=State.PROCESSING, limit=ROWS)),
        list(app.jobs.list(state=State.FAILED, limit=5)),
    )


def _live(app: Stoker, view: View, every: float) -> None:
    with Live(_screen(view), console=console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                clock.sleep(every)
                live.update(_screen(look(app)), refresh=True)
        except KeyboardInterrupt:
            return


def _tables(view: View) -> list[tuple[str, tuple[str, ...], list[list[str]]]]:
    now = clock.now()
    moment = clock.to_datetime(now)
    return [
        ("queues", queues.COLUMNS, [queues.row(queue) for queue in view.census.queues]),
        ("workers", workers.COLUMNS, [workers.row(worker, now) for worker in view.census.workers]),
        ("processing", record.COLUMNS, [record.row(job, moment) for job in view.processing]),
        ("failed last", record.COLUMNS, [record.row(job, moment) for job in view.failed]),
    ]


def _print(view: View, out: Output) -> None:
    out.say(view.place, style="bold")
    for title, columns, rows in _tables(view):
        out.say(f"\n{title}", style="bold")
        out.table(columns, rows, "none")


def _screen(view: View) -> RenderableType:
    parts: list[RenderableType] = [Text(line(view.place), style="bold")]
    for title, columns, rows in _tables(view):
        parts.append(Text(f"\n{title}", style="bold"))
        cells = [[line(cell) for cell in row] for row in rows]
        parts.append(rich_table(columns, cells) if cells else Text("none", style="dim"))
    return Group(*parts, Text("\nCtrl-C ends this", style="dim"))
