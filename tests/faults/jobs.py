"""The app that the tested workers run. What it does, it writes into the history; where to die, the environment says.

`STOKER_TEST_FAULT`: JSON of a `Fault`. It strikes once in all, however many processes have it: the first one that gets
there makes the file `once`.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from faults.history import record as write
from stoker import Cancel, Context, Retry, Snooze, Stoker, StoreUnavailable

HISTORY = os.environ["STOKER_TEST_HISTORY"]


class Fault(msgspec.Struct, kw_only=True):
    """Where a process is struck, and by which signal."""

    plan: str
    """the verb of the store"""
    when: str
    """before the plan runs, or after it committed while nobody knows its reply"""
    once: str
    """a file that is made when it strikes"""
    nth: int = 1
    having: str | None = None
    """an exchange that has `claims` (after it) or `outcomes`"""
    signal: str = "SIGKILL"


def note(event: str, **facts: Any) -> None:
    write(HISTORY, event, **facts)


# --- the wiretap ----------------------------------------------------------------------------------------------------


class Tap:
    """Between an app and its store: writes down claims and settles, and strikes."""

    def __init__(self, app: Stoker, fault: Fault | None) -> None:
        self._store, self._driver = app.engine.connection
        self._fault = fault
        self._count = 0
        self._keeping = threading.Lock()
        self._run, self._arun, self._exchange = self._driver.run, self._driver.arun, self._store.exchange
        self._outcomes: Any = ()
        self._driver.run = self.run
        self._driver.arun = self.arun
        self._store.exchange = self.exchange
        self._sibling = self._driver.sibling
        self._driver.sibling = self.sibling

    def sibling(self) -> Any:
        """The connection of the worker's keeper, which is struck as well."""
        made = self._sibling()
        run = made.run

        def tapped_run(plan: Any) -> Any:
            self._strike(plan, "before", None)
            with self._keeping:
                reply = run(plan)
            self._strike(plan, "after", reply)
            return reply

        made.run = tapped_run
        return made

    def exchange(self, worker: str, outcomes: Any = (), *args: Any, **kwargs: Any) -> Any:
        self._outcomes = outcomes
        return self._exchange(worker, outcomes, *args, **kwargs)

    def run(self, plan: Any) -> Any:
        self._strike(plan, "before", None)
        reply = self._run(plan)
        self._strike(plan, "after", reply)
        return reply

    async def arun(self, plan: Any) -> Any:
        outcomes = self._outcomes
        self._strike(plan, "before", None)
        try:
            reply = await self._arun(plan)
        except StoreUnavailable:
            if plan.name == "exchange":
                note("unheard")
            raise
        self._strike(plan, "after", reply)
        if plan.name == "exchange":
            for claim in reply.claims:
                note("claimed", job=claim.id, attempt=claim.attempt, fence=claim.fence, ref=claim.ref)
            for outcome in outcomes:
                what = "refused" if outcome.ref in reply.refused else "settled"
                note(what, ref=outcome.ref, fence=outcome.fence, verdict=outcome.verdict.value)
        return reply

    def _strike(self, plan: Any, when: str, reply: Any) -> None:
        fault = self._fault
        if fault is None or (plan.name, when) != (fault.plan, fault.when):
            return
        if fault.having == "claims" and not reply.claims:
            return
        if fault.having == "outcomes" and not self._outcomes:
            return
        self._count += 1
        if self._count < fault.nth:
            return
        try:
            os.close(os.open(fault.once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        number = signal.Signals[fault.signal]
        if number is not signal.SIGTERM:
            note("stalled" if number is signal.SIGSTOP else "dead", victim=os.getpid())
        with self._keeping:  # who stands still with the store's lock in hand would keep everybody waiting
            os.kill(os.getpid(), number)


def tapped(app: Stoker) -> Stoker:
    fault = os.environ.get("STOKER_TEST_FAULT")
    Tap(app, msgspec.json.decode(fault, type=Fault) if fault else None)
    return app


def without_privileges() -> None:
    """Have the rights of files hold for root too."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    assert libc.capset(header, data) == 0, os.strerror(ctypes.get_errno())


if os.environ.get("STOKER_TEST_UNPRIVILEGED"):
    without_privileges()

app = tapped(Stoker())


# --- tasks ----------------------------------------------------------------------------------------------------------


@contextmanager
def running(ctx: Context) -> Iterator[None]:
    note("started", job=ctx.job_id, attempt=ctx.attempt)
    how = "returned"
    try:
        yield
    except BaseException as error:
        how = type(error).__name__
        raise
    finally:
        note("ended", job=ctx.job_id, attempt=ctx.attempt, how=how)


def die(ctx: Context, pid: int) -> None:
    note("dead", victim=pid)
    os.kill(pid, signal.SIGKILL)


@app.task(name="quick")
async def quick(ctx: Context, pause: float = 0.0) -> str:
    with running(ctx):
        if pause:
            await asyncio.sleep(pause)
    return ctx.job_id


@app.task(name="hold")
async def hold(ctx: Context, gate: str) -> str:
    """Runs until the file `gate` exists."""
    with running(ctx):
        while not os.path.exists(gate):
            await asyncio.sleep(0.02)
    return "held"


@app.task(name="hold_stubbornly")
async def hold_stubbornly(ctx: Context, gate: str) -> str:
    """The same, whatever it is told."""
    with running(ctx):
        while not os.path.exists(gate):
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                note("told", job=ctx.job_id, note="CancelledError")
    return "held"


@app.task(name="hold_elsewhere")
async def hold_elsewhere(ctx: Context, gate: str) -> None:
    """Waits in a thread of its own making, which nobody can tell anything."""

    def wait() -> None:
        while not os.path.exists(gate):
            time.sleep(0.02)

    with running(ctx):
        await asyncio.to_thread(wait)


def _hold_here(ctx: Context, gate: str, stubborn: bool) -> str:
    with running(ctx):
        told = False
        while not os.path.exists(gate):
            if ctx.cancelled and not told:
                told = True
                note("told", job=ctx.job_id, note=ctx.stop_reason)
            if not stubborn:
                ctx.raise_if_cancelled()
            time.sleep(0.02)
    return "held"


@app.task(name="hold_in_thread", executor="thread")
def hold_in_thread(ctx: Context, gate: str, stubborn: bool = False) -> str:
    return _hold_here(ctx, gate, stubborn)


@app.task(name="hold_in_process", executor="process")
def hold_in_process(ctx: Context, gate: str, stubborn: bool = False) -> str:
    return _hold_here(ctx, gate, stubborn)


@app.task(name="hold_again")
async def hold_again(ctx: Context, gate: str, how: str) -> str:
    """Ends its first attempt at once; a later one runs until the file `gate` exists."""
    with running(ctx):
        if ctx.attempt == 1:
            if how == "raise":
                raise ValueError("no")
            return "first"
        while not os.path.exists(gate):
            await asyncio.sleep(0.02)
    return "again"


@app.task(name="block")
async def block(ctx: Context, gate: str) -> str:
    """Keeps the event loop from turning until the file `gate` exists."""
    with running(ctx):
        while not os.path.exists(gate):
            time.sleep(0.02)
    return "blocked"


@app.task(name="murder")
async def murder(ctx: Context, times: int) -> str:
    """Kills its worker in its first `times` attempts."""
    with running(ctx):
        if ctx.attempt <= times:
            die(ctx, os.getpid())
    return "spared"


@app.task(name="murder_in_process", executor="process")
def murder_in_process(ctx: Context, times: int) -> str:
    """Kills its own process, and not the worker's."""
    with running(ctx):
        if ctx.attempt <= times:
            die(ctx, os.getpid())
    return "spared"


@app.task(name="fail")
async def fail(ctx: Context) -> None:
    with running(ctx):
        raise ValueError("no")


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Hopeless(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def _deep(n: int) -> int:
    return _deep(n + 1) + 1


def _misbehave(kind: str, ctx: Context) -> Any:
    match kind:
        case "exit":
            sys.exit(7)
        case "interrupt":
            raise KeyboardInterrupt
        case "recursion":
            return _deep(0)
        case "broken":
            raise Broken
        case "hopeless":
            raise Hopeless
        case "million":
            raise ValueError("\n".join(f"line {n}" for n in range(1_000_000)))
        case "surrogate":
            raise ValueError("\ud800 \x00 end")
        case "object":
            return object()
        case "surrogate_result":
            return "\ud800"
        case "huge_result":
            return "x" * 50_000_000
        case "nan":
            return float("nan")
        case "group":
            raise BaseExceptionGroup("several", [SystemExit(1), ValueError("x")])
        case "generator_exit":
            raise GeneratorExit
        case "stop_iteration":
            raise StopIteration(1)
        case "progress":
            ctx.progress(0.5, message=object())  # type: ignore[arg-type]
            ctx.progress(0.5, message="\ud800")
            return "said"
        case "far_snooze":
            raise Snooze(1e15)
        case "far_retry":
            raise Retry("later", after=1e300)
        case "cancel_surrogate":
            raise Cancel("\ud800")
        case "unpicklable":
            raise type("Local", (Exception,), {"__module__": None})("odd")
    raise AssertionError(kind)


@app.task(name="misbehave")
async def misbehave(ctx: Context, kind: str) -> Any:
    with running(ctx):
        return _misbehave(kind, ctx)


@app.task(name="misbehave_in_thread", executor="thread")
def misbehave_in_thread(ctx: Context, kind: str) -> Any:
    with running(ctx):
        return _misbehave(kind, ctx)


@app.task(name="misbehave_in_process", executor="process")
def misbehave_in_process(ctx: Context, kind: str) -> Any:
    with running(ctx):
        return _misbehave(kind, ctx)


@app.task(name="talk")
async def talk(ctx: Context, gate: str) -> str:
    """Says what cannot be stored, and goes on until the file `gate` exists."""
    with running(ctx):
        ctx.progress(0.25, message="\ud800")
        while not os.path.exists(gate):
            ctx.progress(0.5, message=object())  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
    return "talked"


def _narrate(ctx: Context, lines: int, end: str, begin: str = "") -> None:
    with running(ctx):
        while begin and not os.path.exists(begin):
            time.sleep(0.02)
        for number in range(lines):
            ctx.log.info("line %d", number)
        if end == "die":
            die(ctx, os.getpid())
        while end and not os.path.exists(end):
            time.sleep(0.02)


@app.task(name="narrate")
async def narrate(ctx: Context, lines: int, end: str = "") -> None:
    """Logs so many lines; then ends, dies, or waits for a gate."""
    _narrate(ctx, lines, end)


@app.task(name="narrate_in_thread", executor="thread")
def narrate_in_thread(ctx: Context, lines: int, end: str = "") -> None:
    _narrate(ctx, lines, end)


@app.task(name="narrate_in_process", executor="process")
def narrate_in_process(ctx: Context, lines: int, end: str = "", begin: str = "") -> None:
    _narrate(ctx, lines, end, begin)


@app.task(name="fork", executor="thread")
def fork(ctx: Context) -> int:
    """Enqueues from a forked child."""
    with running(ctx):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                quick.enqueue()
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == 0, code
    return code


@app.task(name="big")
async def big(ctx: Context, gate: str) -> str:
    """Runs until the file `gate` exists, and returns a megabyte."""
    with running(ctx):
        while not os.path.exists(gate):
            await asyncio.sleep(0.02)
    return "x" * 900_000


@app.task(name="swarm")
async def swarm(ctx: Context, index: int) -> int:
    """A little of everything that takes time, for many at once."""
    with running(ctx):
        await asyncio.sleep(0.001 * (index % 7))
    return index


_tallies: dict[int, int] = {}
"""descriptors by process"""


@app.task(name="tally")
async def tally(ctx: Context) -> None:
    """Only says that it ran: for very many."""
    descriptor = _tallies.get(os.getpid())
    if descriptor is None:
        descriptor = _tallies[os.getpid()] = os.open(f"tally.{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{ctx.job_id}\n".encode())


def _main() -> None:
    """`python -m faults.jobs enqueue TASK ARGS OPTIONS`: as an app would; prints id and created."""
    _, verb, name, args, options = sys.argv
    assert verb == "enqueue"
    bound = {"quick": quick, "swarm": swarm}[name].using(**json.loads(options))
    handle = bound.enqueue(*json.loads(args))
    Path("/dev/stdout").write_text(json.dumps([handle.id, handle.created]) + "\n")
    app.close()


if __name__ == "__main__":
    from faults import jobs

    jobs._main()
