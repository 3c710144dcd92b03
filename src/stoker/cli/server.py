"""`stoker server`: the HTTP API and the dashboard, and nothing that runs jobs."""

from __future__ import annotations

import typer

from stoker.app import Stoker
from stoker.cli.command import command
from stoker.cli.hosting import Hosting
from stoker.cli.where import Where
from stoker.cli.work import Level, LogLevel, set_up_log
from stoker.errors import ConfigError
from stoker.member import Parts, run_parts
from stoker.worker.loop import WorkerOptions


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(
        group,
        "server",
        "stoker server --app jobs:app",
        "stoker server --url sqlite:///jobs.db --read-only",
        "stoker server --host 0.0.0.0 --identify web:identify --prefix /stoker",
        panel="Run",
    )(server)


def server(where: Where, hosting: Hosting, log_level: LogLevel = Level.INFO) -> int:
    """Serve the HTTP API and the dashboard, until you stop it. It runs no jobs.

    Only this machine is answered, unless something says who asks: --identify.
    """
    set_up_log(log_level)
    with where.found() as (app, target):
        _check(app, named=target is not None)
        return run_parts(app, WorkerOptions(), None, Parts(worker=False, scheduler=False, serving=hosting.serving()))


def _check(app: Stoker, *, named: bool) -> None:
    store, driver = app.engine.connection
    if app.settings.mode == "queue" and not store.traits.shared:
        raise ConfigError(
            "the jobs of memory:// live in one process, and a server runs none; use `stoker start`, "
            "or a store that processes share, as sqlite:///jobs.db"
        )
    if not named and not driver.exists():
        raise ConfigError(f"there is no store at {driver.place} yet. In the right folder? Give --url or --app")
