"""Worker processes and their signals: one in this process, or several as children that are started again when they die.

SIGTERM or SIGINT: no more claims, running jobs get the grace, the rest goes back. A second signal ends the grace at
once, and still gives everything back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from stoker.errors import MissingExtra
from stoker.member import SIGNALS, USAGE, Parts, run_member
from stoker.worker.loop import WorkerOptions
from stoker.worker.looping import run_loop

_QUICK_DEATH = 5.0
_LONGEST_PAUSE = 30.0


class Fleet:
    """Several worker processes under one parent, which itself runs no jobs."""

    def __init__(self, target: str, options: WorkerOptions, processes: int, parts: Parts = Parts()) -> None:
        words = (msgspec.json.encode(options).decode(), msgspec.json.encode(parts).decode())
        self._command = [sys.executable, "-m", "stoker.member", target, *words]
        self._size = processes
        self._children: set[asyncio.subprocess.Process] = set()
        self._stopping = False
        self._told = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

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
        """Keep the fleet at its size until it is stopped, or, draining, until every child is done."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.stop)
        lifeline, held = os.pipe()
        try:
            codes = await asyncio.gather(*(self._keep(lifeline) for _ in range(self._size)))
            return max(codes)
        finally:
            os.close(lifeline)
            os.close(held)
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    async def _keep(self, lifeline: int) -> int:
        """Keep one child alive. One that dies young is started again ever later."""
        loop = asyncio.get_running_loop()
        pause = 0.5
        while True:
            began = loop.time()
            code = await self._run_child(lifeline)
            if self._stopping or code in (0, USAGE):
                return max(code, 0)
            pause = min(_LONGEST_PAUSE, pause * 2) if loop.time() - began < _QUICK_DEATH else 0.5
            _say(f"a worker process ended with {_how(code)}; starting another in {pause:g} s")
            if await self._told_within(pause):
                return 1

    async def _run_child(self, lifeline: int) -> int:
        # The child holds the reading end of a pipe that nobody writes to: it sees its parent's end, however that came.
        child = await asyncio.create_subprocess_exec(*self._command, str(lifeline), pass_fds=[lifeline])
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
    if reload:
        return run_loop(_reloading(target, options, processes, parts))
    if processes > 1:
        return run_loop(_fleet(target, options, processes, parts))
    return run_member(target, options, parts=parts)


async def _fleet(target: str, options: WorkerOptions, processes: int, parts: Parts) -> int:
    return await Fleet(target, options, processes, parts).run()


async def _reloading(target: str, options: WorkerOptions, processes: int, parts: Parts) -> int:
    """For development: stop and start the fleet anew whenever a Python file below this folder changes."""
    watch = _watcher()
    while True:
        fleet = Fleet(target, options, processes, parts)
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
