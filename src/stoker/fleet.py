"""Worker processes and their signals: one in this process, or several as children that are started again when they die.
Among several, a server has a process of its own, so that jobs and requests do not take each other's time.

SIGTERM or SIGINT: no more claims, running jobs get the grace, the rest goes back. A second signal ends the grace at
once, and still gives everything back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from stoker.errors import MissingExtra
from stoker.member import SIGNALS, USAGE, Parts, run_member
from stoker.serving import listener
from stoker.target import load_app
from stoker.worker.loop import WorkerOptions
from stoker.worker.looping import run_loop

_QUICK_DEATH = 5.0
_LONGEST_PAUSE = 30.0


class Fleet:
    """Several processes under one parent, which itself runs no jobs: one for each of `crew`."""

    def __init__(self, target: str, options: WorkerOptions, crew: Sequence[Parts]) -> None:
        self._command = [sys.executable, "-m", "stoker.member", target, msgspec.json.encode(options).decode()]
        self._crew = crew
        self._children: set[asyncio.subprocess.Process] = set()
        self._stopping = False
        self._unfit = False
        self._told = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, and does not end because one of its processes could not begin."""
        return self._stopping and not self._unfit

    def stop(self) -> None:
        """Pass the order to stop on to every child. Again: at once."""
        self._stopping = True
        self._told.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every child."""
        for child in self._children:
            if child.returncode is None:
                child.send_signal(number)

    async def run(self) -> int:
        """Keep the fleet at its size until it is stopped, or, draining, until every child is done.

        A child that was told to stop alone, by a person or a signal, is not replaced; the fleet ends with the last one.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.stop)
        lifeline, held = os.pipe()
        try:
            codes = await asyncio.gather(*(self._keep(parts, lifeline) for parts in self._crew))
            return max(codes)
        finally:
            os.close(lifeline)
            os.close(held)
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    async def _keep(self, parts: Parts, lifeline: int) -> int:
        """Keep one child alive. One that dies young is started again ever later."""
        loop = asyncio.get_running_loop()
        pause = 0.5
        while True:
            began = loop.time()
            code = await self._run_child(parts, lifeline)
            if code == USAGE and not self._stopping:  # a fleet without one of its parts would look healthy
                self._unfit = True
                self.stop()
            if self._stopping or code == 0:
                return max(code, 0)
            pause = min(_LONGEST_PAUSE, pause * 2) if loop.time() - began < _QUICK_DEATH else 0.5
            _say(f"a worker process ended with {_how(code)}; starting another in {pause:g} s")
            if await self._told_within(pause):
                return 1

    async def _run_child(self, parts: Parts, lifeline: int) -> int:
        # The child holds the reading end of a pipe that nobody writes to: it sees its parent's end, however that came.
        words = (msgspec.json.encode(parts).decode(), str(lifeline))
        fds = [lifeline] if parts.serving is None or parts.serving.fd is None else [lifeline, parts.serving.fd]
        child = await asyncio.create_subprocess_exec(*self._command, *words, pass_fds=fds)
        self._children.add(child)
        if self._stopping:
            child.send_signal(signal.SIGTERM)
        try:
            return await child.wait()
        finally:
            self._children.discard(child)

    async def _told_within(self, seconds: float) -> bool:
        """Whether the order to stop comes within that time."""
        try:
            await asyncio.wait_for(self._told.wait(), seconds)
        except TimeoutError:
            return False
        return True


def run_fleet(
    target: str, options: WorkerOptions, *, processes: int = 1, reload: bool = False, parts: Parts = Parts()
) -> int:
    """Run that many processes until they are stopped; the exit code. `reload`: anew whenever code changes."""
    if not reload and processes == 1:
        return run_member(target, options, parts=parts)
    crew = _crew(target, options, processes, parts)
    return run_loop(_reloading(target, options, crew) if reload else Fleet(target, options, crew).run())


def _crew(target: str, options: WorkerOptions, processes: int, parts: Parts) -> list[Parts]:
    """What each process of a fleet does. Its server listens at a socket of the parent's, which outlives it."""
    serving = None if options.drain else parts.serving
    if serving is not None:
        there = listener(serving, load_app(target))
        serving = replace(serving, fd=there.detach())
    if processes == 1:
        return [replace(parts, serving=serving)]
    workers = [replace(parts, serving=None)] * processes
    return workers if serving is None else [*workers, Parts(worker=False, scheduler=False, serving=serving)]


async def _reloading(target: str, options: WorkerOptions, crew: Sequence[Parts]) -> int:
    """For development: stop and start the fleet anew whenever a Python file below this folder changes."""
    watch = _watcher()
    while True:
        fleet = Fleet(target, options, crew)
        running = asyncio.ensure_future(fleet.run())
        stopped = asyncio.Event()
        watching = asyncio.ensure_future(_next_change(watch, stopped))
        await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and not watching.done():
            if running.result() == 0 or fleet.stopping:
                stopped.set()
                watching.cancel()
                return running.result()
            _say("the worker could not run; waiting for a change")
            await watching
        changed = watching.result()
        _say(f"{changed} changed; starting anew")
        fleet.stop()
        await running


def _watcher() -> Callable[..., Any]:
    try:
        from watchfiles import awatch
    except ImportError:
        raise MissingExtra('--reload needs the package watchfiles: pip install "stoker[cli]"') from None
    return awatch


async def _next_change(watch: Callable[..., Any], stopped: asyncio.Event) -> str:
    from watchfiles import PythonFilter

    async for changes in watch(os.curdir, watch_filter=PythonFilter(), stop_event=stopped):
        return min(str(path) for _, path in changes)
    return ""


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _say(text: str) -> None:
    print(f"stoker: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the parent's own words
