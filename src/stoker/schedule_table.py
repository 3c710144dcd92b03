"""`[[schedules]]` of the configuration file: schedules of tasks, and of shell lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from stoker.errors import ConfigError, StokerError
from stoker.schedules import Schedules
from stoker.shell import SHELL, Line


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[schedules]]` table. Spans are seconds."""

    name: str
    schedule: str
    """when: cron or plain English"""
    task: str | None = None
    """the name of a task, or its last part; either this or `shell`"""
    shell: str | None = None
    """a line for the shell of whoever runs it: of the worker's own file, found there by this schedule's name"""
    timeout: float | None = None
    """of the shell line"""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    tz: str | None = None
    jitter: float = 0
    start: datetime | None = None
    end: datetime | None = None
    misfire: str = "one"
    overlap: str = "allow"
    run_on_start: bool = False
    options: dict[str, Any] = {}
    """of its jobs: queue, priority, max_attempts, …"""


def tables(given: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The tables as they are to be understood. Raises `ConfigError` that names the table and the key."""
    found = []
    for number, raw in enumerate(given, 1):
        which = f"[[schedules]] number {number}" + (f" ({raw['name']!r})" if "name" in raw else "")
        try:
            table = msgspec.convert(raw, Table)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{which}: {error}") from error
        if (table.task is None) == (table.shell is None):
            raise ConfigError(f"{which}: give either task or shell")
        if table.shell is None and table.timeout is not None:
            raise ConfigError(f"{which}: timeout is for shell lines; a task's goes into options = {{ timeout = … }}")
        if table.shell is not None and (table.args or table.kwargs):
            raise ConfigError(f"{which}: a shell line takes no args and kwargs")
        found.append(table)
    return found


def lines(found: Sequence[Table]) -> dict[str, Line]:
    """The shell lines, by the names of their schedules."""
    return {table.name: Line(table.shell) for table in found if table.shell is not None}


def declare(schedules: Schedules, found: Sequence[Table]) -> None:
    """Declare what the tables say. Raises `ConfigError`."""
    for table in found:
        options = dict(table.options)
        if table.timeout is not None:
            options["timeout"] = table.timeout
        try:
            schedules.declare_late(
                table.schedule,
                SHELL if table.task is None else table.task,
                name=table.name,
                args=(table.name,) if table.task is None else table.args,
                kwargs=table.kwargs,
                tz=table.tz,
                jitter=table.jitter,
                start=table.start,
                end=table.end,
                misfire=table.misfire,
                overlap=table.overlap,
                run_on_start=table.run_on_start,
                options=options,
            )
        except StokerError as error:
            raise ConfigError(f"[[schedules]] {table.name!r}: {error}") from error
