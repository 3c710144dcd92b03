"""`stoker enqueue`: one job from the command line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import typer

from stoker.app import Stoker
from stoker.call import Call
from stoker.cli.command import command
from stoker.cli.output import Output, complain, note
from stoker.cli.text import line
from stoker.cli.values import age, mapping, moment, named, split, value
from stoker.cli.where import Code
from stoker.errors import ConfigError
from stoker.handle import JobHandle
from stoker.job import State
from stoker.task import Task


@dataclass(frozen=True)
class JobOptions:
    """The options of the job; what is not given is as the task says."""

    queue: Annotated[str | None, typer.Option("--queue", "-q", help="Into this queue.")] = None
    delay: Annotated[str | None, typer.Option("--delay", metavar="AGE", help="Not before 90 (s), 15m, 12h.")] = None
    run_at: Annotated[str | None, typer.Option("--run-at", metavar="TIME", help="Not before 2030-01-31T09:00Z.")] = None
    priority: Annotated[int | None, typer.Option("--priority", min=-100, max=100, help="Higher first.")] = None
    key: Annotated[str | None, typer.Option("--key", help="At most one unfinished job has it.")] = None
    owner: Annotated[str | None, typer.Option("--owner", help="The user or tenant that it belongs to.")] = None
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag (again for more).")] = None

    def given(self) -> dict[str, Any]:
        """Those that were given, as `using` takes them."""
        if self.delay is not None and self.run_at is not None:
            raise typer.BadParameter("give either --delay or --run-at", param_hint="--run-at")
        options = {
            "queue": self.queue,
            "delay": None if self.delay is None else age(self.delay),
            "run_at": None if self.run_at is None else moment(self.run_at),
            "priority": self.priority,
            "key": self.key,
            "owner": self.owner,
            "tags": split(self.tag) or None,
        }
        return {name: option for name, option in options.items() if option is not None}


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(
        group,
        "enqueue",
        "stoker enqueue resize cat.jpg width=80",
        "stoker enqueue resize cat.jpg --kwargs '{\"width\": 80}' --queue slow --delay 15m",
        "stoker enqueue report --wait --json",
        panel="Jobs",
    )(enqueue)


def enqueue(
    code: Code,
    out: Output,
    options: JobOptions,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's name, or its last part.")],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARG", help="JSON where it is JSON, else text; name=value by name."),
    ] = None,
    kwargs: Annotated[str | None, typer.Option("--kwargs", metavar="JSON", help="Arguments by name.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end and print the result.")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="AGE", help="With --wait: give up after so long.")
    ] = None,
) -> int:
    """Enqueue one job and print its id.

    Arguments are checked as the task's own code would: a wrong one is named, and nothing is enqueued.
    """
    patience = None if timeout is None else age(timeout)
    by_name = {} if kwargs is None else mapping(kwargs)
    with code.opened() as app:
        _refuse_what_nobody_runs(app, wait=wait)
        found = app.registry.find(task)
        positional, by_name = arguments(found, args or (), by_name)
        call = Call(found, found.options.using(options.given()), positional, by_name)
        [handle] = app.enqueue_many([call])
        if not handle.created:
            note("there was an unfinished job with this key already; this is its id")
        if wait:
            return _wait(app, handle, patience, out)
        if out.json:
            out.data({"id": handle.id, "created": handle.created})
        else:
            sys.stdout.write(handle.id + "\n")
    return 0


def arguments(task: Task, texts: Sequence[str], by_name: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by position and by name, as they were typed, besides those that are known by name."""
    hints, positions = _hints(task)
    args: list[Any] = []
    kwargs = dict(by_name)
    for text in texts:
        name, rest = named(text)
        if name is None:
            parameter = positions[min(len(args), len(positions) - 1)] if positions else ""
            args.append(value(rest, hints.get(parameter)))
        elif name in kwargs:
            raise typer.BadParameter(f"the argument {name} is given twice")
        else:
            kwargs[name] = value(rest, hints.get(name))
    return args, kwargs


def _hints(task: Task) -> tuple[dict[str, Any], list[str]]:
    """The hints of the parameters, and the names of those that a position can fill."""
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    parameters = inspect.signature(task.fn).parameters.values()
    positions = [one.name for one in parameters if one.kind in kinds and one.name != task.calls.context_name]
    return get_type_hints(task.fn), positions


def _refuse_what_nobody_runs(app: Stoker, *, wait: bool) -> None:
    mode = app.settings.mode
    if mode == "queue" and not app.engine.connection.store.traits.shared:
        raise ConfigError("the jobs of memory:// end with this process; use a store that lasts, as sqlite:///jobs.db")
    if mode == "async" and not wait:
        raise ConfigError("in mode 'async' only this process would run the job; add --wait, or set STOKER_MODE=queue")


def _wait(app: Stoker, handle: JobHandle[Any], patience: float | None, out: Output) -> int:
    note(f"job {handle.id}")
    try:
        job = app.engine.wait(handle.id, patience)
    except TimeoutError as error:
        complain(str(error))
        return 1
    if out.json:
        out.data(job)
    elif job.state is State.COMPLETED:
        out.data(job.result)
    elif job.state is State.CANCELLED:
        complain(f"job {job.id} was cancelled" + (f": {job.error}" if job.error else ""))
    else:
        complain(f"job {job.id} failed: {line(job.error)}")
    return 0 if job.state is State.COMPLETED else 1
