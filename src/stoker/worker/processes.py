"""Child processes for tasks with `executor="process"`: they can be killed, and their death is not the worker's."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections import deque
from pathlib import Path

from stoker import clock
from stoker.job import AskedSnooze, Died, Ending, Interrupted
from stoker.worker.attempt import CANCELLED, LOST, STOPPING, TIMED_OUT, Attempt, Done
from stoker.worker.wire import HEADER, Begin, Ended, FromChild, Hello, Said, Stop, ToChild, from_child, packed

KILL_AFTER = 5.0
"""seconds that a task gets between the order to stop and SIGKILL"""


UNSTARTED_PAUSE = 5.0
"""seconds until a job is tried again for which no process could be started"""


class Processes:
    """Up to `limit` children, started as they are needed and kept for the next attempt."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: list[_Child] = []
        self._count = 0
        self._waiting: deque[tuple[Attempt, Done]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def start(self, attempt: Attempt, done: Done) -> None:
        """Run the attempt in a child, as soon as one is free; `done` is called when it ended."""
        if self._idle or self._count < self._limit:
            self._run(attempt, done)
        else:
            self._waiting.append((attempt, done))

    async def close(self) -> None:
        """Kill every child and wait for it."""
        self._waiting.clear()
        for running in list(self._running):
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        while self._idle:
            await self._idle.pop().kill()

    def _run(self, attempt: Attempt, done: Done) -> None:
        child = self._idle.pop() if self._idle else None
        if child is None:
            self._count += 1
        task = asyncio.ensure_future(self._serve(child, attempt, done))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, child: _Child | None, attempt: Attempt, done: Done) -> None:
        try:
            if child is None:
                child = await _Child.spawn()
            ending = await child.run(attempt)
        except asyncio.CancelledError:
            if child is not None:
                await child.kill()
            self._count -= 1
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must not stay where it is
            ending = _unstarted(attempt, error) if child is None else Died(f"the process could not be run: {error}")
        if child is not None and child.alive:
            self._idle.append(child)
        else:
            self._count -= 1
        while self._waiting and (self._idle or self._count < self._limit):
            self._run(*self._waiting.popleft())
        done(attempt, ending)


class _Child:
    """One child process and the worker's end of its wire."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.alive = True

    @classmethod
    async def spawn(cls) -> _Child:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stoker.worker.child", str(theirs.fileno())), pass_fds=[theirs.fileno()]
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        child = cls(process, reader, writer)
        child._send(Hello([entry or str(Path.cwd()) for entry in sys.path]))
        return child

    async def run(self, attempt: Attempt) -> Ending:
        """Run one attempt; `Died` if the process does not outlive it."""
        loop = asyncio.get_running_loop()
        killer: list[asyncio.TimerHandle] = []

        def interrupt() -> None:
            self._send(Stop(attempt.claim.ref, attempt.claim.fence, attempt.reason or ""))
            killer.append(loop.call_later(KILL_AFTER, self._kill))

        self._send(Begin(attempt.task.module, attempt.task.qualname, attempt.claim))
        attempt.on_stop(interrupt)
        try:
            while True:
                match await self._receive():
                    case Said(progress, message, checkpoint, log):
                        context = attempt.context
                        context.value, context.message = progress, message
                        if checkpoint is not None:
                            context.saved, context.pressing = checkpoint, True
                        if log is not None:
                            context.keep(log)
                        context.news = True
                        if attempt.report is not None:
                            attempt.report(attempt)
                    case Ended(ending):
                        return ending
        except (asyncio.IncompleteReadError, ConnectionError):
            return await self._death(attempt)
        finally:
            attempt.on_stop(_nothing)
            for timer in killer:
                timer.cancel()

    async def _death(self, attempt: Attempt) -> Ending:
        self.alive = False
        self._writer.close()
        code = await self._process.wait()
        if attempt.reason in (CANCELLED, TIMED_OUT):  # we killed it, because it did not stop by itself
            return attempt.ending(asyncio.CancelledError())
        if attempt.reason in (STOPPING, LOST):
            return Interrupted()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Died(f"the process that ran the task ended with {how}")

    async def kill(self) -> None:
        """End the process and wait for it."""
        self.alive = False
        self._kill()
        await self._process.wait()
        self._writer.close()

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    def _send(self, message: ToChild) -> None:
        if not self._writer.is_closing():
            self._writer.write(packed(message))

    async def _receive(self) -> FromChild:
        header = await self._reader.readexactly(HEADER)
        return from_child.decode(await self._reader.readexactly(int.from_bytes(header)))


def _unstarted(attempt: Attempt, error: Exception) -> Ending:
    """No process could be started (no memory, too many): not the job's fault, so it waits, and nothing is counted."""
    attempt.context.message = f"no process could be started for it: {error}"
    attempt.context.news = True
    return AskedSnooze(clock.to_span(UNSTARTED_PAUSE))


def _nothing() -> None:
    """Nobody is to be interrupted any more."""
