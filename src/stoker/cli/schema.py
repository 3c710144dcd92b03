"""`stoker migrate`: bring the store to this version."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from stoker.cli.command import command
from stoker.cli.output import Output, note
from stoker.cli.where import Where


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(group, "migrate", "stoker migrate", "stoker migrate --sql > stoker.sql", panel="Operate")(migrate)


def migrate(
    where: Where,
    out: Output,
    sql: Annotated[bool, typer.Option("--sql", help="Print the migrations, and change nothing.")] = False,
) -> None:
    """Bring the store's schema to this version. Apps and workers do it by themselves when they start.

    Any number of processes may do it at once; done already, it changes nothing. Stores without a schema are fine.
    """
    with where.found() as (app, _):
        store, driver = app.engine.connection
        migrations = store.migrations()
        if sql:
            _print(migrations, out)
            return
        applied = driver.run(store.migrate())
        if out.json:
            out.data({"applied": applied, "migrations": list(migrations)})
        elif not migrations:
            out.say(f"{driver.place} needs no schema")
        elif applied:
            out.say(f"{driver.place}: applied {', '.join(applied)}")
        else:
            out.say(f"{driver.place} is up to date ({len(migrations)} migrations)")


def _print(migrations: Mapping[str, str], out: Output) -> None:
    if out.json:
        out.data(migrations)
    elif not migrations:
        note("this store has no schema")
    for name, text in migrations.items() if not out.json else ():
        sys.stdout.write(f"-- {name}\n{text.rstrip()}\n\n")
