"""`stoker stats`: how things stand, in one look."""

from __future__ import annotations

import typer

from stoker import clock
from stoker.cli import queues, workers
from stoker.cli.command import command
from stoker.cli.output import STYLES, Output
from stoker.cli.text import span
from stoker.cli.where import Where
from stoker.job import State
from stoker.standing import alive


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(group, "stats", "stoker stats", "stoker stats --json", panel="Operate")(stats)


def stats(where: Where, out: Output) -> None:
    """Show how many jobs there are in each state, the queues with the age of their oldest job, and the workers."""
    with where.opened() as app:
        counts = app.jobs.count()
        census = app.engine.run(app.engine.connection.store.census())
    states = {state.value: counts.get(state, 0) for state in State}
    if out.json:
        out.data({"jobs": states, "queues": census.queues, "workers": workers.as_data(census.workers)})
        return
    for state, count in states.items():
        out.say(f"{state:<12}{count:>10,}", style=STYLES[state] if count else "dim")
    out.say("")
    out.table(queues.COLUMNS, [queues.row(queue) for queue in census.queues], "no queue has unfinished jobs")
    now = clock.now()
    living = [worker for worker in census.workers if alive(worker, now)]
    running = sum(worker.running for worker in living)
    oldest = max((queue.oldest for queue in census.queues if queue.oldest is not None), default=None)
    out.say("")
    out.say(f"workers: {len(living)} alive, {len(census.workers) - len(living)} dead, {running} jobs running")
    if oldest is not None:
        out.say(f"the job that has waited longest was due {span(oldest)} ago")
