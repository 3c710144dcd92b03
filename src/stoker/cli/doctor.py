"""`stoker doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Final

import typer
from msgspec import Struct
from rich.text import Text

from stoker import clock
from stoker.app import Stoker
from stoker.cli.command import command
from stoker.cli.output import STYLES, Output, console
from stoker.cli.text import counted, span
from stoker.cli.where import Where
from stoker.errors import StokerError
from stoker.job import LIVE, State
from stoker.printable import clean
from stoker.standing import alive
from stoker.store import Census, QueueInfo, Worker

_SKEW: Final = 5.0
"""Seconds that two clocks may differ."""
_LONG: Final = 300.0
"""Seconds after which a job that is due, and does not start, deserves a look."""


class Status(StrEnum):
    """How grave a check's finding is. Only a problem makes the command fail."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str
    advice: str | None = None


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(
        group,
        "doctor",
        "stoker doctor",
        "stoker doctor --url sqlite:////var/lib/app/jobs.db --json",
        panel="Operate",
    )(doctor)


def doctor(where: Where, out: Output) -> int:
    """Look for what is wrong, and say what to do about it. Ends with 1 when something is.

    It looks at the settings, the store and its file, the clock, the workers, the queues, and jobs that nobody can run.
    """
    with where.found() as (app, target):
        checks = list(examine(app, target))
    problems = sum(check.status is Status.PROBLEM for check in checks)
    if out.json:
        out.data({"healthy": not problems, "checks": checks})
        return int(problems > 0)
    width = max(len(check.name) for check in checks)
    for check in checks:
        _show(check, width)
    out.say("")
    if problems:
        out.say(f"{counted(problems, 'problem')} found", style=STYLES["problem"])
    else:
        out.say("all is well", style=STYLES["ok"])
    return int(problems > 0)


def _show(check: Check, width: int) -> None:
    text = Text(f"{check.status.value:<8}", style=STYLES[check.status])
    text.append(f" {check.name.ljust(width)}  ", style="default not bold")
    text.append(clean(check.detail), style="default not bold")
    if check.advice:
        text.append(f"\n{' ' * (width + 11)}→ {clean(check.advice)}", style="default not bold italic")
    console().print(text)


def examine(app: Stoker, target: str | None) -> Iterator[Check]:
    """Every check, in the order in which one depends on another."""
    yield _ok("versions", f"Stoker {version('stoker')}, Python {platform.python_version()} on {platform.system()}")
    yield _code(app, target)
    store, driver = app.engine.connection
    yield _ok("store", driver.place)
    yield _ok("durability", driver.durability)
    if app.settings.mode != "queue":
        yield _note("mode", app.settings.mode, "jobs run in the app's own process; set STOKER_MODE=queue for workers")
    broken = False
    for finding in driver.examine():
        status = Status.OK if finding.advice is None else Status.PROBLEM if finding.grave else Status.NOTE
        broken = broken or status is Status.PROBLEM
        yield Check(finding.subject, status, finding.detail, finding.advice)
    if not driver.exists() or not store.traits.shared:
        return
    try:
        applied = app.engine.run(store.migrate())
        known = store.migrations()
        news = f", applied just now: {', '.join(applied)}" if applied else ""
        yield _ok("schema", f"up to date ({counted(len(known), 'migration')}){news}")
        yield from _life(app)
    except StokerError as error:
        if not broken:
            yield _problem("store", str(error), "see the message; until then no job is enqueued or run")


def _code(app: Stoker, target: str | None) -> Check:
    if target is None:
        return _note("app", "none was given, so tasks are not looked at", "give --app MODULE:ATTRIBUTE to check them")
    if not len(app.registry):
        return _problem("app", f"{target} declares no tasks", "import the modules with your tasks in that module")
    names = sorted(app.registry.names)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return _ok("app", f"{target}, {counted(len(names), 'task')}: {shown}")


def _life(app: Stoker) -> Iterator[Check]:
    """Checks that ask the store about jobs and workers."""
    census: Census = app.engine.run(app.engine.connection.store.census())
    now = clock.now()
    living = [worker for worker in census.workers if alive(worker, now)]
    yield _clock(app, census.workers, clock.to_datetime(now))
    yield from _workers(app, census.workers, living)
    yield from _unknown_tasks(app)
    yield from _queues(census.queues, living)
    yield _failed(app)


def _clock(app: Stoker, workers: Sequence[Worker], now: datetime) -> Check:
    newest = app.jobs.list(limit=1)
    written = [clock.to_datetime(worker.seen_at) for worker in workers] + [job.created_at for job in newest]
    ahead = max(((moment - now).total_seconds() for moment in written), default=0.0)
    if ahead > _SKEW:
        return _problem(
            "clock",
            f"the store holds times that are {span(ahead)} ahead of this machine's clock",
            "compare the clocks of all machines and switch on time synchronisation",
        )
    return _ok("clock", now.isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC"))


def _workers(app: Stoker, workers: Sequence[Worker], living: Sequence[Worker]) -> Iterator[Check]:
    stuck = app.jobs.requeue(dry_run=True)
    dead = len(workers) - len(living)
    if stuck and not living:
        yield _problem(
            "stuck jobs",
            f"{counted(stuck)} processing on workers that are dead",
            "start a worker, which gives them back, or run: stoker jobs requeue",
        )
    elif stuck:
        yield _note("stuck jobs", f"{counted(stuck)} of dead workers; a living worker gives them back within seconds")
    running = sum(worker.running for worker in living)
    detail = f"{len(living)} alive, running {counted(running)}" + (f"; {dead} dead" if dead else "")
    versions = {worker.version for worker in living}
    if len(versions) > 1:
        yield _note("workers", detail, f"they run several versions of Stoker: {', '.join(sorted(versions))}")
    else:
        yield _ok("workers", detail)


def _unknown_tasks(app: Stoker) -> Iterator[Check]:
    if not len(app.registry):
        return
    waiting = app.jobs.count(by="task", states=sorted(LIVE))
    unknown = {name: count for name, count in sorted(waiting.items()) if name not in app.registry}
    if unknown:
        listed = ", ".join(f"{name} ({count:,})" for name, count in unknown.items())
        yield _problem(
            "unknown tasks",
            f"unfinished jobs of tasks that this app does not declare: {listed}",
            "deploy the code that declares them, or give up on them: stoker jobs cancel --task NAME",
        )
    else:
        yield _ok("tasks", "every unfinished job is of a task that this app declares")


def _queues(queues: Sequence[QueueInfo], living: Sequence[Worker]) -> Iterator[Check]:
    for queue in queues:
        name = f"queue {queue.name}"
        serving = [worker for worker in living if not worker.queues or queue.name in worker.queues]
        if queue.paused:
            yield _note(name, f"paused, {counted(queue.queued)} queued", f"stoker queues resume {queue.name}")
        elif queue.queued and not serving:
            whose = "no worker is running" if not living else "no running worker serves it"
            yield _problem(name, f"{counted(queue.queued)} due, and {whose}", f"stoker worker -q {queue.name}")
        elif queue.queued and all(worker.command is not None for worker in serving):
            yield _note(
                name,
                f"{counted(queue.queued)} due, and every worker that serves it is quiet or stopping",
                f"stoker workers wake {serving[0].id}, or start another",
            )
        elif queue.oldest is not None and queue.oldest > _LONG:
            yield _note(
                name,
                f"{counted(queue.queued)} due, the first for {span(queue.oldest)}",
                "do the workers know its task and tags? Else more of them, or more at once: --concurrency, --processes",
            )
        else:
            yield _ok(name, f"{queue.queued:,} queued, {queue.processing:,} processing, {queue.scheduled:,} scheduled")


def _failed(app: Stoker) -> Check:
    count = app.jobs.count(state=State.FAILED).get("failed", 0)
    if count:
        return _note("failed jobs", f"{count:,}", "stoker jobs list --state failed")
    return _ok("failed jobs", "none")


def _ok(name: str, detail: str) -> Check:
    return Check(name, Status.OK, detail)


def _note(name: str, detail: str, advice: str | None = None) -> Check:
    return Check(name, Status.NOTE, detail, advice)


def _problem(name: str, detail: str, advice: str) -> Check:
    return Check(name, Status.PROBLEM, detail, advice)
