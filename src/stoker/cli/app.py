"""The command `stoker`: its commands put together, and its way in."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from stoker.cli import (
    bench,
    census,
    demo,
    doctor,
    enqueuing,
    jobs,
    queues,
    schedules,
    schema,
    server,
    starter,
    top,
    work,
    workers,
    workflows,
)
from stoker.cli.command import epilog
from stoker.cli.output import complain
from stoker.cli.where import AppOption, UrlOption
from stoker.errors import ConfigError, StokerError

app = typer.Typer(
    name="stoker",
    help="Background jobs for Python web applications.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="[dim]To begin:[/dim]  [bold]stoker demo[/bold]  or  [bold]stoker init[/bold]",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"stoker {version('stoker')}\n")
        raise typer.Exit


@app.callback()
def _options(
    app: AppOption = None,
    url: UrlOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run the options that all commands share."""


app.command("demo", epilog=epilog(["stoker demo", "stoker demo --crash"]), rich_help_panel="Begin")(demo.demo)
starter.add_to(app)
work.add_to(app)
server.add_to(app)
enqueuing.add_to(app)
app.add_typer(jobs.group, name="jobs", rich_help_panel="Jobs")
app.add_typer(workflows.group, name="workflows", rich_help_panel="Jobs")
app.add_typer(queues.group, name="queues", rich_help_panel="Jobs")
app.add_typer(schedules.group, name="schedules", rich_help_panel="Jobs")
app.add_typer(workers.group, name="workers", rich_help_panel="Jobs")
census.add_to(app)
top.add_to(app)
doctor.add_to(app)
schema.add_to(app)
bench.add_to(app)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code. Our own errors become one message, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no UTF-8 is no reason to fail
    try:
        app(args=None if argv is None else list(argv), prog_name="stoker")
    except StokerError as error:
        complain(str(error))
        return 2 if isinstance(error, ConfigError) else 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
