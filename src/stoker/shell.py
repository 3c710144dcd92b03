"""The built-in task that runs shell lines of the configuration file.

A job names the line, it does not hold it: who can write the queue can only have lines run that the worker's own file
has. A worker whose file has none does not know this task.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from stoker.context import Context

SHELL: Final = "stoker.shell"
"""The task's name."""
TAIL: Final = 4000
"""Characters of the output that are kept: the last ones."""
PATIENCE: Final = 5.0
"""Seconds between asking a line's processes to end and ending them."""


class Line(Struct, frozen=True):
    """A shell line."""

    text: str


class LineFailed(Exception):
    """A shell line ended with an exit code other than 0, or by a signal; the message ends with its last output."""


class UnknownLine(Exception):
    """The configuration of this worker has no shell line of that name."""


def runner(lines: Mapping[str, Line]) -> Callable[..., Coroutine[Any, Any, dict[str, Any]]]:
    """The function of the task, for these lines."""

    async def shell(name: str, ctx: Context) -> dict[str, Any]:
        line = lines.get(name)
        if line is None:
            known = ", ".join(sorted(lines))
            raise UnknownLine(f"the configuration of this worker has no shell line {name!r}; it has {known}")
        process = await asyncio.create_subprocess_shell(
            line.text,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        tail: deque[str] = deque(maxlen=TAIL)
        try:
            await _listen(process, tail)
            code = await process.wait()
        except asyncio.CancelledError:
            await asyncio.shield(_end(process))
            raise
        finally:
            if tail:
                ctx.progress(float("nan"), message="".join(tail))
        output = "".join(tail)
        if code:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise LineFailed(f"{how}: {output.strip()}" if output.strip() else how)
        return {"exit": code, "output": output}

    return shell


async def _listen(process: asyncio.subprocess.Process, tail: deque[str]) -> None:
    """Keep the end of what it says, until it closes its output."""
    assert process.stdout is not None
    while chunk := await process.stdout.read(65536):
        tail.extend(chunk.decode("utf-8", "replace"))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it and all that it started: ask, and then do."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what its first process left behind
