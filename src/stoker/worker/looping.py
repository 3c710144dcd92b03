"""An event loop for a process that must come to its end, whatever its jobs do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

PARTING: Final = 2.0
"""Seconds that what is left on a loop gets to end, once its main task has. `asyncio.run` would wait for ever for a task
that ignores its cancellation."""


def run_loop(main: Coroutine[Any, Any, T], make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Run on a new event loop, uvloop's where it is installed, and leave nothing of it behind that can be ended."""
    loop = (make_loop or _make_loop)()
    task = loop.create_task(main)
    try:
        return loop.run_until_complete(task)
    finally:
        if not task.done():  # a signal, or some other task's SystemExit, has ended the loop instead
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        _wind_up(loop)
        loop.close()


def _make_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    closing = loop.create_task(loop.shutdown_asyncgens())
    loop.run_until_complete(asyncio.wait([*left, closing], timeout=PARTING))
