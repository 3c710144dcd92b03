"""Which jobs a command is about: ids, and the filters that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from stoker.app import Stoker
from stoker.cli.values import age, split
from stoker.errors import UnknownTask
from stoker.job import State

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of jobs.", show_default=False)]

_OF_JOB = "Filters"


def states(texts: list[str] | None) -> list[State] | None:
    """States as they were typed, `failed,cancelled` included."""
    try:
        return [State(text) for text in split(texts)] or None
    except ValueError as error:
        raise typer.BadParameter(f"{error}; a state is one of {', '.join(State)}", param_hint="--state") from None


@dataclass(frozen=True)
class Selection:
    """Filters; a job must pass all that are given."""

    state: Annotated[
        list[str] | None,
        typer.Option("--state", "-s", help="In this state, or in one of several.", rich_help_panel=_OF_JOB),
    ] = None
    queue: Annotated[str | None, typer.Option("--queue", "-q", help="In this queue.", rich_help_panel=_OF_JOB)] = None
    task: Annotated[str | None, typer.Option("--task", "-t", help="Of this task.", rich_help_panel=_OF_JOB)] = None
    tag: Annotated[str | None, typer.Option("--tag", help="With this tag.", rich_help_panel=_OF_JOB)] = None
    owner: Annotated[str | None, typer.Option("--owner", help="Of this owner.", rich_help_panel=_OF_JOB)] = None
    workflow: Annotated[str | None, typer.Option("--workflow", help="Of this workflow.", rich_help_panel=_OF_JOB)] = (
        None
    )
    key: Annotated[str | None, typer.Option("--key", help="With this key.", rich_help_panel=_OF_JOB)] = None
    text: Annotated[
        str | None, typer.Option("--text", help="With this text in the arguments.", rich_help_panel=_OF_JOB)
    ] = None
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Unchanged for 30d, 12h, 15m.", rich_help_panel=_OF_JOB),
    ] = None

    def filters(self, app: Stoker) -> dict[str, Any]:
        """The filters as the app's verbs take them; those not given are left out."""
        given = {
            "state": states(self.state),
            "queue": self.queue,
            "task": task_name(app, self.task),
            "tag": self.tag,
            "owner": self.owner,
            "workflow": self.workflow,
            "key": self.key,
            "text": self.text,
            "older_than": None if self.older_than is None else age(self.older_than),
        }
        return {name: value for name, value in given.items() if value is not None}


def task_name(app: Stoker, name: str | None) -> str | None:
    """The whole name of a task where the app knows a short one; else the name as it stands."""
    try:
        return None if name is None else app.registry.find(name).name
    except UnknownTask:
        return name
