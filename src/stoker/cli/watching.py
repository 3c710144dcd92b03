"""Following one job to its end: a bar on a terminal, a line for each change into a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from stoker import clock
from stoker.app import Stoker
from stoker.cli import record
from stoker.cli.output import Output, complain, console
from stoker.cli.text import line
from stoker.job import Job, State

PAUSE = 0.2
"""Seconds between two looks: as often as workers report."""


def changes(app: Stoker, id: str) -> Iterator[Job]:
    """The job's record at once, and again whenever it changed, up to its end. Raises `JobNotFound`."""
    seen: Job | None = None
    while True:
        job = app.jobs.get(id)
        if job != seen:
            yield job
            seen = job
        if job.finished:
            return
        clock.sleep(PAUSE)


def follow(app: Stoker, id: str, out: Output) -> int:
    """Show the job until it ends; the exit code says how it ended."""
    if out.json:
        job = _each(app, id, out.data)
    elif out.plain:
        job = _each(app, id, lambda job: out.say(_line(job)))
    else:
        job = _with_bar(app, id)
    if not out.json:
        _tell_end(job, out)
    return 0 if job.state is State.COMPLETED else 1


def _each(app: Stoker, id: str, show: Callable[[Job], None]) -> Job:
    job = None
    for job in changes(app, id):
        show(job)
    assert job is not None
    return job


def _line(job: Job) -> str:
    return "  ".join(part for part in (job.state.value, record.percent(job.progress), line(record.told(job))) if part)


def _with_bar(app: Stoker, id: str) -> Job:
    columns = (
        TextColumn("{task.fields[state]}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console(), transient=True) as bar:
        shown = bar.add_task("", total=None, state="", note="")

        def show(job: Job) -> None:
            total = None if job.progress is None and not job.finished else 1.0
            done = 1.0 if job.state is State.COMPLETED else job.progress or 0.0
            bar.update(shown, total=total, completed=done, state=job.state.value, note=line(record.told(job)))

        return _each(app, id, show)


def _tell_end(job: Job, out: Output) -> None:
    if job.state is State.COMPLETED:
        took = "" if job.started_at is None or job.finished_at is None else f" in {_seconds(job):.1f} s"
        out.say(f"job {job.id} completed{took}", style="green")
        if job.result is not None:
            console().print(Text(record.as_json(job.result)))
    elif job.state is State.CANCELLED:
        complain(f"job {job.id} was cancelled" + (f": {job.error}" if job.error else ""))
    else:
        complain(f"job {job.id} failed: {job.error}")


def _seconds(job: Job) -> float:
    assert job.started_at is not None
    assert job.finished_at is not None
    return (job.finished_at - job.started_at).total_seconds()
