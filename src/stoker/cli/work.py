"""`stoker worker`, `stoker scheduler` and `stoker start`: running jobs, enqueuing them by schedule, serving them."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from stoker import clock
from stoker.app import Stoker
from stoker.cli.command import command
from stoker.cli.hosting import Hosting
from stoker.cli.output import note
from stoker.cli.values import age, queues, split
from stoker.cli.where import Code
from stoker.errors import ConfigError, StoreUnavailable
from stoker.fleet import run_fleet
from stoker.member import Parts
from stoker.printable import CleanFormatter
from stoker.settings import load
from stoker.target import load_app
from stoker.worker.loop import WorkerOptions


class Level(StrEnum):
    """How much a worker logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LogLevel = Annotated[Level, typer.Option("--log-level", help="How much to log.", case_sensitive=False)]


@dataclass(frozen=True)
class Labour:
    """How jobs are to be run. What is not given comes from the settings."""

    queue: Annotated[
        list[str] | None,
        typer.Option("--queue", "-q", metavar="NAME[:LIMIT]", help="Serve this queue (again for more); else all."),
    ] = None
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", min=1, help="Jobs at once in each process.")
    ] = None
    processes: Annotated[int | None, typer.Option("--processes", "-p", min=1, help="Worker processes.")] = None
    tags: Annotated[
        list[str] | None, typer.Option("--tags", metavar="A,B", help="Take only jobs that have one of these tags.")
    ] = None
    untagged: Annotated[
        bool, typer.Option("--untagged", help="Take jobs without tags; with --tags, these as well.")
    ] = False
    grace: Annotated[
        str | None, typer.Option("--grace", metavar="AGE", help="What running jobs get when it is stopped.")
    ] = None
    lease: Annotated[
        str | None,
        typer.Option("--lease", metavar="AGE", help="Silence after which its jobs are given to other workers."),
    ] = None
    drain: Annotated[bool, typer.Option("--drain", help="Stop once no job is due.")] = False
    wait: Annotated[bool, typer.Option("--wait", help="Where the store does not answer yet, wait until it does.")] = (
        False
    )
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when code changes. For development.")] = False
    log_level: LogLevel = Level.INFO

    def options(self, app: Stoker) -> WorkerOptions:
        """The options of each worker process."""
        settings = app.settings
        grace = settings.grace if self.grace is None else age(self.grace)
        lease = settings.lease if self.lease is None else age(self.lease)
        if lease < 1:
            raise typer.BadParameter("a lease is at least 1 second", param_hint="--lease")
        tags = split(self.tags)
        return WorkerOptions(
            concurrency=self.concurrency or settings.concurrency,
            queues=queues(self.queue),
            tags=frozenset(tags) if tags or self.untagged else None,
            untagged=self.untagged,
            lease=lease,
            grace=grace,
            drain=self.drain,
        )


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    command(
        group,
        "worker",
        "stoker worker --app jobs:app",
        "stoker worker -q mail:4 -q default -c 50 --processes 2",
        "stoker worker --drain",
        panel="Run",
    )(worker)
    command(group, "scheduler", "stoker scheduler --app jobs:app", panel="Run")(scheduler)
    command(
        group,
        "start",
        "stoker start --app jobs:app",
        "stoker start --web main:api --port 8000",
        "stoker start --reload --log-level debug",
        panel="Run",
    )(start)


def worker(
    code: Code,
    labour: Labour,
    no_scheduler: Annotated[bool, typer.Option("--no-scheduler", help="Enqueue nothing by schedule.")] = False,
) -> int:
    """Run jobs, and enqueue those of schedules, until you stop it.

    Ctrl-C lets running jobs end within the grace, a second one gives them back now.
    """
    return _work(code, labour, Parts(scheduler=not no_scheduler))


def scheduler(
    code: Code,
    wait: Annotated[bool, typer.Option("--wait", help="Where the store does not answer yet, wait until it does.")] = (
        False
    ),
    log_level: LogLevel = Level.INFO,
) -> int:
    """Enqueue the jobs of schedules, and run none, until you stop it.

    Workers do the same, unless they are told --no-scheduler. However many there are, every tick is enqueued once.
    """
    return _work(code, Labour(log_level=log_level, wait=wait), Parts(worker=False))


def start(
    code: Code,
    labour: Labour,
    hosting: Hosting,
    web: Annotated[
        str | None,
        typer.Option("--web", metavar="MODULE:ATTR", help="Serve this ASGI application instead of the dashboard."),
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave out the worker.")] = False,
    no_server: Annotated[bool, typer.Option("--no-server", help="Leave out the server.")] = False,
    no_scheduler: Annotated[bool, typer.Option("--no-scheduler", help="Leave out the scheduler.")] = False,
) -> int:
    """Start everything that this project needs, in one process: worker, scheduler, and a server with the dashboard.

    With --web the server is one for your own application. With --processes the server has a process of its own.
    """
    if no_worker and no_scheduler and no_server:
        raise typer.BadParameter("without the worker, the scheduler and the server there is nothing to start")
    if no_server and web is not None:
        raise typer.BadParameter("without the server, nothing serves --web", param_hint="--no-server")
    if web is not None and (hosting.read_only or hosting.identify):
        raise typer.BadParameter("your own application says itself who may do what in it", param_hint="--web")
    serving = None if no_server else hosting.serving(web)
    return _work(Code(code.app or load().app or _module(web)), labour, Parts(not no_worker, not no_scheduler, serving))


def _module(web: str | None) -> str | None:
    """Where no app is named: the module of the web application, for it may hold the one that it uses."""
    return web.partition(":")[0] if web else None


def _work(code: Code, labour: Labour, parts: Parts) -> int:
    target = code.target
    app = load_app(target)
    options = labour.options(app)
    if app.settings.mode != "queue":
        if parts.serving is None or labour.drain:
            raise ConfigError(
                f"this app runs its jobs by itself (mode {app.settings.mode!r}); there is no work for workers"
            )
        parts = Parts(worker=False, scheduler=False, serving=parts.serving)
    elif not app.engine.connection.store.traits.shared:
        _check_alone(parts, labour.processes or app.settings.processes)
    if parts.worker and not len(app.registry):
        note(f"{target} declares no tasks, so this worker will take no jobs; import your tasks in that module")
    set_up_log(labour.log_level)
    if labour.wait:
        _wait_for_store(app)
    processes = (labour.processes or app.settings.processes) if parts.worker else 1
    return run_fleet(target, options, processes=processes, reload=labour.reload, parts=parts)


def _check_alone(parts: Parts, processes: int) -> None:
    """What can be of use where jobs live in the memory of one process."""
    if not parts.worker:
        raise ConfigError(
            "the jobs of memory:// live in one process; without its worker, use a store that others share"
        )
    if processes > 1:
        raise ConfigError("the jobs of memory:// live in one process; --processes needs a store that others share")
    if parts.serving is None:
        note("the jobs of memory:// live in one process; this worker sees only what its own code enqueues")


def _wait_for_store(app: Stoker) -> None:
    """Return once the store answers. Whatever else is wrong with it is raised at once."""
    pause = 0.1
    told = ""
    while True:
        try:
            app.engine.open()
        except StoreUnavailable as error:
            if str(error) != told:
                told = str(error)
                note(f"{told}; waiting for it")
        else:
            return
        clock.sleep(pause)
        pause = min(2.0, pause * 2)


def set_up_log(level: Level) -> None:
    """Log to standard error, here and in the processes of a fleet."""
    os.environ["STOKER_LOG_LEVEL"] = level.value.upper()  # for the processes of a fleet
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(CleanFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.value.upper(), handlers=[handler])  # where the app has set up none of its own
