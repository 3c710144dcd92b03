"""One process with a worker, a scheduler or both, from its app's name to its end: what `stoker worker` runs, and what
a fleet runs several of.

As a module it is a child of `fleet`: `python -m stoker.member TARGET OPTIONS PARTS LIFELINE`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, NoReturn

import msgspec
from msgspec import Struct

from stoker import clock
from stoker.drivers.aside import in_thread
from stoker.errors import ConfigError, StokerError
from stoker.printable import CleanFormatter
from stoker.scheduler import Scheduler
from stoker.target import load_app
from stoker.worker.loop import WorkerLoop, WorkerOptions
from stoker.worker.looping import PARTING, run_loop

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
FAILED: Final = 1
USAGE: Final = 2

SWITCH_INTERVAL: Final = 0.0005
"""Seconds a thread may keep the interpreter to itself. With the usual 5 ms, the thread that talks to the store waits
for the busy event loop at every step."""


class Parts(Struct, frozen=True):
    """What a process does."""

    worker: bool = True
    scheduler: bool = True


def run_member(target: str, options: WorkerOptions, lifeline: int | None = None, parts: Parts = Parts()) -> int:
    """Run these parts in this process until they are stopped; the exit code. Says why it could not begin."""
    before = set(threading.enumerate())
    try:
        app = load_app(target)
        given = {name: getattr(options, name) for name in options.__struct_fields__}
        worker = app.worker(**given) if parts.worker else None
        ticking = app.scheduler() if parts.scheduler and not options.drain else None  # who drains wants nothing new
        code = run_loop(serve(worker, lifeline, ticking))
        app.close()
    except ConfigError as error:
        _say(str(error))
        return USAGE
    except StokerError as error:
        _say(str(error))
        return FAILED
    if _held_up(before):
        _leave(code)
    return code


def _held_up(before: set[threading.Thread]) -> bool:
    """Whether a thread that a task left behind would keep this process from its end."""
    deadline = clock.monotonic() + PARTING
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon:
            thread.join(max(0.0, deadline - clock.monotonic()))
            if thread.is_alive():
                return True
    return False


def _leave(code: int) -> NoReturn:
    """End this process now: what still runs was given back, or was never a job."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def serve(worker: WorkerLoop | None, lifeline: int | None = None, scheduler: Scheduler | None = None) -> int:
    """Run these until a signal stops them, or, where there is a lifeline, until their parent is gone; the exit code.

    The first signal begins the grace, the second ends it; either way everything goes back. If the scheduler dies, the
    worker is stopped as well: a process that does half its work looks healthy and is not.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    loop = asyncio.get_running_loop()
    signals = 0
    stopped = asyncio.Event()

    def stop() -> None:
        nonlocal signals
        signals += 1
        stopped.set()
        if worker is not None:
            worker.stop(None if signals == 1 else 0.0)

    def died() -> None:
        loop.call_soon_threadsafe(stop)

    def orphaned() -> None:
        assert lifeline is not None
        loop.remove_reader(lifeline)
        stop()

    loop.add_signal_handler(signal.SIGTERM, stop)
    # In a fleet, Ctrl-C reaches every process of the terminal; the parent says what it means.
    loop.add_signal_handler(signal.SIGINT, stop if lifeline is None else lambda: None)
    if lifeline is not None:
        loop.add_reader(lifeline, orphaned)
    started = asyncio.Event()
    ticking = None if scheduler is None else asyncio.ensure_future(_begin(scheduler, started, died))
    try:
        if worker is None:
            started.set()
            await stopped.wait()
        else:
            await worker.serve(started)
    finally:
        if ticking is not None and scheduler is not None:
            ticking.cancel()
            await in_thread(scheduler.stop)
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        if lifeline is not None:
            loop.remove_reader(lifeline)
    return FAILED if scheduler is not None and scheduler.error is not None else 0


async def _begin(scheduler: Scheduler, started: asyncio.Event, died: Callable[[], None]) -> None:
    """Start the scheduler once the worker has: if that cannot begin, nothing does."""
    await started.wait()
    scheduler.start(died)


def _say(text: str) -> None:
    print(f"stoker: {text}", file=sys.stderr, flush=True)  # noqa: T201 - there may be no logging yet


def main() -> None:
    """Run as a child of a fleet."""
    target, options, parts, lifeline = sys.argv[1:]
    handler = logging.StreamHandler()
    handler.setFormatter(CleanFormatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logging.basicConfig(level=os.environ.get("STOKER_LOG_LEVEL", "INFO").upper(), handlers=[handler])
    what = msgspec.json.decode(parts, type=Parts)
    code = run_member(target, msgspec.json.decode(options, type=WorkerOptions), int(lifeline), what)
    _leave(code)


if __name__ == "__main__":
    main()
