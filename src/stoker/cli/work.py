"""`stoker worker` and `stoker start`: running jobs."""

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
from stoker.cli.output import note
from stoker.cli.values import age, queues, split
from stoker.cli.where import Code
from stoker.errors import ConfigError, StoreUnavailable
from stoker.fleet import run_fleet
from stoker.printable import CleanFormatter
from stoker.target import load_app
from stoker.worker.loop import WorkerOptions


class Level(StrEnum):
    """How much a worker logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


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
    log_level: Annotated[Level, typer.Option("--log-level", help="How much to log.", case_sensitive=False)] = Level.INFO

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
    command(group, "start", "stoker start", "stoker start --reload --log-level debug", panel="Run")(start)


def worker(
    code: Code,
    labour: Labour,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Enqueue nothing by schedule (this version never does).")
    ] = False,
) -> int:
    """Run jobs until you stop it: Ctrl-C lets running jobs end within the grace, a second one gives them back now."""
    return _work(code, labour)


def start(
    code: Code,
    labour: Labour,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave out the worker.")] = False,
    no_server: Annotated[
        bool, typer.Option("--no-server", help="Leave out the server (this version has none).")
    ] = False,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Leave out the scheduler (this version has none).")
    ] = False,
) -> int:
    """Start everything that this project needs, in one process.

    In this version that is the worker; the server and the scheduler are still to come.
    """
    if no_worker:
        raise typer.BadParameter("without the worker there is nothing to start in this version")
    return _work(code, labour)


def _work(code: Code, labour: Labour) -> int:
    target = code.target
    app = load_app(target)
    options = labour.options(app)
    if app.settings.mode != "queue":
        raise ConfigError(
            f"this app runs its jobs by itself (mode {app.settings.mode!r}); there is no work for workers"
        )
    if not app.engine.connection.store.traits.shared:
        note("the jobs of memory:// live in one process; this worker sees only what its own code enqueues")
    if not len(app.registry):
        note(f"{target} declares no tasks, so this worker will take no jobs; import your tasks in that module")
    _log(labour.log_level)
    if labour.wait:
        _wait_for_store(app)
    return run_fleet(target, options, processes=labour.processes or app.settings.processes, reload=labour.reload)


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


def _log(level: Level) -> None:
    os.environ["STOKER_LOG_LEVEL"] = level.value.upper()  # for the processes of a fleet
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(CleanFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.value.upper(), handlers=[handler])  # where the app has set up none of its own
