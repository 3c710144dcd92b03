"""`stoker schedules`: see what fires when, try expressions, and make, pause, run and remove schedules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from stoker import clock
from stoker.cli.approval import agreed
from stoker.cli.command import command
from stoker.cli.enqueuing import arguments
from stoker.cli.output import Output, complain
from stoker.cli.text import since
from stoker.cli.values import age, mapping, moment
from stoker.cli.where import Code, Where
from stoker.errors import InvalidOption
from stoker.schedule_record import ScheduleRecord, ScheduleRun

group = typer.Typer(help="See what fires when; make, pause, run and remove schedules.", no_args_is_help=True)

COLUMNS = ("schedule", "when", "zone", "task", "next", "last", "")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of schedules.")]
Zone = Annotated[str | None, typer.Option("--tz", metavar="ZONE", help="A time zone, as Europe/Berlin; else UTC.")]
Count = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")]


def row(schedule: ScheduleRecord, now: datetime) -> list[str]:
    """A schedule as one line of a list."""
    return [
        schedule.name,
        schedule.expression,
        schedule.tz or "UTC",
        schedule.task,
        "" if schedule.next_at is None else since(schedule.next_at, now),
        "" if schedule.last_at is None else since(schedule.last_at, now),
        "" if schedule.state == "active" else schedule.state,
    ]


@command(group, "list", "stoker schedules list", "stoker schedules list --json")
def list_schedules(where: Where, out: Output) -> None:
    """List all schedules: those in the store, and those that the app declares and no scheduler took up yet."""
    with where.opened() as app:
        schedules = app.schedules.list()
    if out.json:
        out.data(schedules)
    else:
        out.table(COLUMNS, [row(one, _now()) for one in schedules], "there are no schedules")


@command(group, "show", "stoker schedules show nightly")
def show(where: Where, out: Output, name: Name) -> None:
    """Show one schedule, its next times, and its last runs."""
    with where.opened() as app:
        schedule = app.schedules.get(name)
        times = app.schedules.next(name) if schedule.state == "active" else ()
    if out.json:
        out.data(schedule)
        return
    out.facts(_facts(schedule))
    _tell_times(times, out)
    runs = [_run_row(run) for run in reversed(schedule.runs)]
    if runs:
        out.say("")
        out.table(("tick", "job", ""), runs, "")


def _facts(schedule: ScheduleRecord) -> list[tuple[str, object]]:
    return [
        ("name", schedule.name),
        ("when", schedule.expression),
        ("zone", schedule.tz or "UTC"),
        ("state", schedule.state),
        ("task", schedule.task),
        ("args", list(schedule.args) or None),
        ("kwargs", schedule.kwargs or None),
        ("queue", schedule.queue),
        ("priority", schedule.priority or None),
        ("jitter", f"{schedule.jitter:g} s" if schedule.jitter else None),
        ("start", schedule.start and _iso(schedule.start)),
        ("end", schedule.end and _iso(schedule.end)),
        ("misfire", schedule.misfire.value),
        ("overlap", schedule.overlap.value),
        ("run on start", "yes" if schedule.run_on_start else None),
        ("declared by", schedule.origin),
    ]


def _run_row(run: ScheduleRun) -> list[str]:
    why = "" if run.why is None else run.why.value
    return [_iso(run.tick), run.job or "none", f"skipped: {why}" if run.job is None else why]


@command(
    group,
    "next",
    "stoker schedules next nightly",
    "stoker schedules next '*/5 9-17 * * mon-fri' --tz Europe/Berlin",
    "stoker schedules next 'every weekday at 9:30' --json",
)
def next_times(
    where: Where,
    out: Output,
    what: Annotated[str, typer.Argument(metavar="NAME|EXPR", help="A schedule, or cron or plain English.")],
    tz: Zone = None,
    count: Count = 5,
) -> int:
    """Print the next times of a schedule, or of an expression before you use it."""
    with where.found() as (app, _):
        try:
            times = app.schedules.next(what, count, tz)
        except InvalidOption as error:
            complain(str(error))
            return 2
    if out.json:
        out.data(times)
    else:
        sys.stdout.writelines(_iso(time) + "\n" for time in times)
    return 0


@dataclass(frozen=True)
class Fresh:
    """What a new schedule may have."""

    name: Annotated[str | None, typer.Option("--name", help="Its name; else the task's.")] = None
    tz: Zone = None
    kwargs: Annotated[str | None, typer.Option("--kwargs", metavar="JSON", help="Arguments by name.")] = None
    queue: Annotated[str | None, typer.Option("--queue", "-q", help="Its jobs go into this queue.")] = None
    priority: Annotated[int | None, typer.Option("--priority", min=-100, max=100, help="Higher first.")] = None
    jitter: Annotated[str | None, typer.Option("--jitter", metavar="AGE", help="Spread its jobs over that.")] = None
    start: Annotated[str | None, typer.Option("--start", metavar="TIME", help="Not before 2030-01-31T09:00Z.")] = None
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="Not after.")] = None
    misfire: Annotated[str, typer.Option("--misfire", help="Of missed ticks: skip, one or all.")] = "one"
    overlap: Annotated[str, typer.Option("--overlap", help="While an earlier job is unfinished: allow or skip.")] = (
        "allow"
    )
    run_on_start: Annotated[bool, typer.Option("--run-on-start", help="Also when a scheduler starts.")] = False

    def given(self) -> dict[str, Any]:
        """As `add` takes them."""
        jobs = {"queue": self.queue, "priority": self.priority}
        return {
            "name": self.name,
            "tz": self.tz,
            "jitter": 0 if self.jitter is None else age(self.jitter),
            "start": None if self.start is None else moment(self.start),
            "end": None if self.end is None else moment(self.end),
            "misfire": self.misfire,
            "overlap": self.overlap,
            "run_on_start": self.run_on_start,
            "options": {name: option for name, option in jobs.items() if option is not None},
        }


@command(
    group,
    "add",
    "stoker schedules add 'every weekday at 9:30' report --tz Europe/Berlin",
    "stoker schedules add '*/5 * * * *' poll https://example.org --name poll-example --yes",
)
def add(
    code: Code,
    out: Output,
    fresh: Fresh,
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="Cron, or plain English.")],
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's name, or its last part.")],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARG", help="JSON where it is JSON, else text; name=value by name."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Make a schedule in the store, or change the one of that name. Shows its next times, and asks."""
    options = fresh.given()
    by_name = {} if fresh.kwargs is None else mapping(fresh.kwargs)
    with code.opened() as app:
        found = app.registry.find(task)
        positional, by_name = arguments(found, args or (), by_name)
        try:
            times = app.schedules.preview(expression, found.name, args=positional, kwargs=by_name, **options)
        except InvalidOption as error:
            complain(str(error))
            return 2
        if not out.json:
            out.say(f"{fresh.name or found.name} would run {found.name}")
            _tell_times(times, out)
        if not yes and not _sure():
            return 1
        schedule = app.schedules.add(expression, found.name, args=positional, kwargs=by_name, **options)
    _tell([schedule], out)
    return 0


def _sure() -> bool:
    if not sys.stdin.isatty():
        complain("there is no terminal to ask on, so add --yes")
        raise typer.Exit(2)
    if agreed("add it"):
        return True
    complain("nothing was added")
    return False


@command(group, "pause", "stoker schedules pause nightly")
def pause(where: Where, out: Output, names: Names) -> None:
    """Let these fire no more until they are resumed, whatever is deployed meanwhile."""
    with where.opened() as app:
        _tell([app.schedules.pause(name) for name in names], out)


@command(group, "resume", "stoker schedules resume nightly")
def resume(where: Where, out: Output, names: Names) -> None:
    """Let these fire again, from now on. Ticks of the pause are not made up for."""
    with where.opened() as app:
        _tell([app.schedules.resume(name) for name in names], out)


@command(group, "run", "stoker schedules run nightly")
def run(where: Where, out: Output, name: Name) -> None:
    """Enqueue the job of a schedule once more, now, and print its id. Its ticks stay as they are."""
    with where.opened() as app:
        handle = app.schedules.run_now(name)
    if out.json:
        out.data({"id": handle.id, "schedule": name})
    else:
        sys.stdout.write(handle.id + "\n")


@command(group, "remove", "stoker schedules remove old-report --yes")
def remove(
    where: Where,
    out: Output,
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Forget schedules and their history; their jobs stay. Declared ones come back when a scheduler starts."""
    with where.opened() as app:
        known = [app.schedules.get(name) for name in names]
        if not yes:
            if not sys.stdin.isatty():
                complain("there is no terminal to ask on, so add --yes")
                return 2
            if not agreed(f"remove {', '.join(names)}"):
                complain("nothing was removed")
                return 1
        for schedule in known:
            app.schedules.remove(schedule.name)
    if out.json:
        out.data({"removed": names})
    for schedule in known:
        later = "" if schedule.origin == "api" else f"; it comes back while {schedule.origin} declares it"
        out.say(f"{schedule.name} is removed{later}")
    return 0


def _tell(schedules: Sequence[ScheduleRecord], out: Output) -> None:
    if out.json:
        out.data(schedules)
    for schedule in schedules:
        after = "" if schedule.next_at is None else f"; next {_iso(schedule.next_at)}"
        out.say(f"{schedule.name} is {schedule.state}{after}")


def _tell_times(times: Sequence[datetime], out: Output) -> None:
    for number, time in enumerate(times):
        out.say(f"{'next' if number == 0 else '    '}          {_iso(time)}")


def _iso(moment: datetime) -> str:
    zone = getattr(moment.tzinfo, "key", None)
    shown = moment.isoformat(sep=" ", timespec="milliseconds" if moment.microsecond else "seconds")
    return f"{shown} {zone}" if zone else shown.replace("+00:00", "Z")


def _now() -> datetime:
    return clock.to_datetime(clock.now())
