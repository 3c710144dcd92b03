"""The options of a schedule, as people write them, and the definition that comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from stoker.bound import BoundTask
from stoker.call import Call
from stoker.clock import to_instant, to_span
from stoker.engine import Engine
from stoker.errors import InvalidOption, TaskError
from stoker.options import Options, within_calendar
from stoker.task import Task
from stoker.timing import ticks
from stoker.timing.definition import Definition, Misfire, Overlap
from stoker.timing.expression import parse
from stoker.timing.zone import zone

E = TypeVar("E", bound=StrEnum)

KNOWN: Final = (
    *("name", "args", "kwargs", "tz", "jitter", "start", "end"),
    *("misfire", "overlap", "run_on_start", "options"),
)
_LONGEST: Final = 366 * 86_400


def check(options: Mapping[str, Any]) -> None:
    """Raise `InvalidOption` for an option that schedules do not have."""
    for name in options:
        if name not in KNOWN:
            raise InvalidOption(
                f"a schedule has no option {name!r}; its options are {', '.join(KNOWN)}. "
                "Those of its jobs (queue, priority, …) go into options={…}, or task.using(…)"
            )


def target(engine: Engine, task: BoundTask[Any, Any, Any] | str) -> tuple[Task, Options]:
    """The task and the options of its jobs. Raises `UnknownTask` and `TaskError`."""
    if isinstance(task, BoundTask):
        return task.task, task.options
    if isinstance(task, str):
        found = engine.registry.find(task)
        return found, found.options
    raise TaskError(f"a schedule takes a task of the app (or its name), not {task!r}; declare it with @app.task")


def define(
    engine: Engine,
    expression: str,
    task: Task,
    job: Options,
    origin: str,
    *,
    name: str | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    tz: str | None = None,
    jitter: float | timedelta = 0,
    start: datetime | None = None,
    end: datetime | None = None,
    misfire: str = "one",
    overlap: str = "allow",
    run_on_start: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Definition:
    """A definition. Raises `InvalidOption` and `InvalidArguments` that name what is wrong."""
    parse(expression)
    zone(tz)
    if isinstance(args, str):
        raise InvalidOption(f"args takes a list, not one text: write [{args!r}]")
    definition = Definition(
        job=_job(engine, task, job.using(options or {}), args, kwargs or {}),
        expression=expression.strip(),
        tz=tz,
        jitter=_span("jitter", jitter),
        start=_instant("start", start),
        end=_instant("end", end),
        misfire=_choice("misfire", misfire, Misfire),
        overlap=_choice("overlap", overlap, Overlap),
        run_on_start=run_on_start,
        origin=origin,
    )
    _check_end(definition)
    return definition


def _job(engine: Engine, task: Task, options: Options, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if options.delay or options.run_at is not None:
        raise InvalidOption("a schedule's jobs have no delay and no run_at of their own: it says when they are due")
    call = Call(task, options, tuple(args), dict(kwargs))
    engine.check_importable(call)
    return replace(call.new_job(""), delay=0)


def _check_end(definition: Definition) -> None:
    if definition.start is None or definition.end is None:
        return
    if definition.end < definition.start:
        raise InvalidOption("end must be after start")
    if ticks.next_tick(definition, definition.start - 1) is None:
        raise InvalidOption(f"{definition.expression!r} has no tick between start and end")


def _span(name: str, value: Any) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST:
        raise InvalidOption(f"{name} must be zero or more seconds (or a timedelta), up to a year, not {value!r}")
    return to_span(seconds)


def _instant(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidOption(f"{name} must be an aware datetime, as datetime(2030, 1, 31, tzinfo=UTC), not {value!r}")
    return within_calendar(name, to_instant(value))


def _choice(name: str, value: Any, kind: type[E]) -> E:
    try:
        return kind(value)
    except ValueError:
        raise InvalidOption(f"{name} must be one of {', '.join(map(repr, map(str, kind)))}, not {value!r}") from None


def name_of(value: Any) -> str:
    """A schedule's name. Raises `InvalidOption`."""
    if not isinstance(value, str) or not value.strip() or len(value) > 255 or not value.isprintable():
        raise InvalidOption(f"a schedule's name must be a text of 1 to 255 printable characters, not {value!r}")
    return value
