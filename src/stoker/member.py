"""One process with a worker, a scheduler, a server or all of them, from its app's name to its end: what `stoker worker`
and `stoker start` run, and what a fleet runs several of.

As a module it is a child of `fleet`: `python -m stoker.member TARGET OPTIONS PARTS LIFELINE`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
from msgspec import Struct

from stoker import clock
from stoker.app import Stoker
from stoker.drivers.aside import in_thread
from stoker.errors import ConfigError, StokerError
from stoker.printable import CleanFormatter
from stoker.scheduler import Scheduler
from stoker.serving import Serving, server
from stoker.target import load_app
from stoker.worker.loop import WorkerLoop, WorkerOptions
from stoker.worker.looping import PARTING, run_loop

if TYPE_CHECKING:
    from stoker.web.server import Server

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
    serving: Serving | None = None


def run_member(target: str, options: WorkerOptions, lifeline: int | None = None, parts: Parts = Parts()) -> int:
    """Run these parts in this process until they are stopped; the exit code. Says why it could not begin."""
    before = set(threading.enumerate())
    try:
        code = run_parts(load_app(target), options, lifeline, parts)
    except ConfigError as error:
        _say(str(error))
        return USAGE
    except StokerError as error:
        _say(str(error))
        return FAILED
    if _held_up(before):
        _leave(code)
    return code


def run_parts(app: Stoker, options: WorkerOptions, lifeline: int | None, parts: Parts) -> int:
    """Run these parts of that app, and close it; the exit code. Raises what makes it impossible to begin."""
    given = {name: getattr(options, name) for name in options.__struct_fields__}
    lasting = not options.drain  # who drains wants nothing new, and an end
    with app:
        app.engine.staffed = True
        serving = server(parts.serving, app, _announce) if parts.serving is not None and lasting else None
        worker = app.worker(**given) if parts.worker else None
        ticking = app.scheduler() if parts.scheduler and lasting else None
        return run_loop(serve(worker, lifeline, ticking, serving))


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


async def serve(
    worker: WorkerLoop | None,
    lifeline: int | None = None,
    scheduler: Scheduler | None = None,
    server: Server | None = None,
) -> int:
    """Run these until a signal stops them, or, where there is a lifeline, until their parent is gone; the exit code.

    The first signal begins the grace, the second ends it; either way everything goes back. If the scheduler or the
    server dies, the worker is stopped as well: a process that does half its work looks healthy and is not. But a server
    goes on when its worker is told to stop, as its dashboard can: who told it wants to see what comes of it.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    loop = asyncio.get_running_loop()
    orders = 0
    started, stopped = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        nonlocal orders
        orders += 1
        stopped.set()
        if worker is not None:
            worker.stop(None if orders == 1 else 0.0)
        if server is not None:
            server.stop()

    def died() -> None:
        loop.call_soon_threadsafe(stop)

    with _heeding(stop, lifeline):
        ticking = None if scheduler is None else asyncio.ensure_future(_begin(scheduler, started, died))
        serving = None if server is None else asyncio.ensure_future(_serve(server, started, stopped, stop))
        try:
            if worker is not None:
                await worker.serve(started)
            started.set()
            if worker is None or server is not None:
                await stopped.wait()
        finally:
            if server is not None and serving is not None:
                await _end(server, serving, started)
            if scheduler is not None and ticking is not None:
                ticking.cancel()
                await in_thread(scheduler.stop)
    if serving is not None:
        serving.result()
    return FAILED if scheduler is not None and scheduler.error is not None else 0


@contextmanager
def _heeding(stop: Callable[[], None], lifeline: int | None) -> Iterator[None]:
    """Have signals, and the end of whoever holds the lifeline's other end, stop everything."""
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        assert lifeline is not None
        loop.remove_reader(lifeline)
        stop()

    loop.add_signal_handler(signal.SIGTERM, stop)
    # In a fleet, Ctrl-C reaches every process of the terminal; the parent says what it means.
    loop.add_signal_handler(signal.SIGINT, stop if lifeline is None else lambda: None)
    if lifeline is not None:
        loop.add_reader(lifeline, orphaned)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        if lifeline is not None:
            loop.remove_reader(lifeline)


async def _begin(scheduler: Scheduler, started: asyncio.Event, died: Callable[[], None]) -> None:
    """Start the scheduler once the worker has: if that cannot begin, nothing does."""
    await started.wait()
    scheduler.start(died)


async def _serve(server: Server, started: asyncio.Event, stopped: asyncio.Event, stop: Callable[[], None]) -> None:
    """Serve once the worker has started, until told to stop; if it ends for another reason, so does everything."""
    await started.wait()
    try:
        await server.serve()
    finally:
        if not stopped.is_set():
            stop()


async def _end(server: Server, serving: asyncio.Task[None], started: asyncio.Event) -> None:
    """Wait until it has ended, however the rest did."""
    if not started.is_set():  # the worker could not begin, so nothing does
        serving.cancel()
    elif not server.should_exit:
        server.stop()
    await asyncio.wait([serving])


def _announce(url: str) -> None:
    print(f"stoker: serving at {url}", flush=True)  # noqa: T201 - what a person, or a program, waits for


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
