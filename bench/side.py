"""How a system with a worker process of its own is measured: the same way for every one.

A side's module is imported twice: by the process that measures, and by the worker that the system's own command starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from servers.process import bound

from bench.processor import seconds_of
from bench.tally import FIRST, GOAL, LAST, PROBE, Tally
from stoker.member import run_loop

PATIENCE = 120.0
"""Seconds that anything may take before the side is given up."""
LOOK = 0.003
"""Seconds between two looks at what a worker has done."""
BULK = 1000

Facts = dict[str, Any]
Worker = subprocess.Popen[bytes]


async def nothing() -> None:
    """What a system needs that needs nothing."""


@dataclass(frozen=True)
class Side:
    """A system: its worker's command, and how to ask it for things."""

    worker: Sequence[str]
    facts: Facts
    """the settings that its worker runs with"""
    enqueue: Callable[[int], Awaitable[Any]]
    """one job with this number and a text"""
    probe: Callable[[], Awaitable[Any]]
    """one job that does `Tally.probe`"""
    left: Callable[[], Awaitable[int]]
    """jobs that are not recorded as done"""
    bulk: Callable[[range], Awaitable[Any]] | None = None
    """many jobs at once, where there is a way"""
    together: bool = False
    """whether many coroutines can enqueue at once"""
    begin: Callable[[], Awaitable[Any]] = nothing
    end: Callable[[], Awaitable[Any]] = nothing


def main(side: Side, **more: Callable[..., Awaitable[Facts]]) -> None:
    """Do what the command line says and print the facts as JSON. `more`: what this side can do besides, or otherwise."""
    verb, arguments = sys.argv[1], [json.loads(argument) for argument in sys.argv[2:]]
    verbs: dict[str, Callable[..., Awaitable[Facts]]] = {
        "drain": drain,
        "enqueue_one": enqueue_one,
        "enqueue_many_at_once": enqueue_many_at_once,
        "enqueue_bulk": enqueue_bulk,
        "latency": latency,
        **more,
    }

    async def measure() -> Facts:
        await side.begin()
        try:
            return await verbs[verb](side, *arguments)
        finally:
            await side.end()

    print(json.dumps(run_loop(measure())), flush=True)
    os._exit(0)  # some systems leave threads behind


# --- what is measured -----------------------------------------------------------------------------------------------


async def drain(side: Side, jobs: int) -> Facts:
    """From the start of the first job until the last is recorded, by one worker process."""
    await fill(side, jobs)
    tally = Tally()
    tally.write(GOAL, jobs)
    async with started(side) as worker:
        await until(lambda: tally.read(FIRST) != 0, worker)
        server, client = server_seconds(), seconds_of(worker.pid)
        await until(lambda: tally.read(LAST) != 0, worker)
        await until_recorded(side)
        seconds = (time.monotonic_ns() - tally.read(FIRST)) / 1e9
        cost = {
            "server_us": (server_seconds() - server) / jobs * 1e6,
            "client_us": (seconds_of(worker.pid) - client) / jobs * 1e6,
        }
    return {"per_second": jobs / seconds, "jobs": jobs, **cost, **side.facts}


async def enqueue_one(side: Side, jobs: int) -> Facts:
    """One after the other."""
    await side.enqueue(0)
    began = time.perf_counter()
    for number in range(jobs):
        await side.enqueue(number)
    return {"per_second": jobs / (time.perf_counter() - began), "batch": 1}


async def enqueue_many_at_once(side: Side, jobs: int) -> Facts:
    """By 100 coroutines."""
    await side.enqueue(0)
    began = time.perf_counter()
    await by_coroutines(side, jobs)
    return {"per_second": jobs / (time.perf_counter() - began), "coroutines": 100}


async def enqueue_bulk(side: Side, jobs: int) -> Facts:
    """1,000 in a call."""
    assert side.bulk is not None
    await side.enqueue(0)
    began = time.perf_counter()
    for start in range(0, jobs, BULK):
        await side.bulk(range(start, start + BULK))
    return {"per_second": jobs / (time.perf_counter() - began), "batch": BULK}


async def latency(side: Side, samples: int) -> Facts:
    """From the call of enqueue to the first line of the task in the worker, on an idle system."""
    tally = Tally()
    chance = random.Random(7)
    found = []
    async with started(side) as worker:
        await answered(side, tally, worker)
        for _ in range(samples):
            await asyncio.sleep(chance.uniform(0.01, 0.04))
            found.append(await answered(side, tally, worker))
    found = sorted(found[10:])
    return {
        "p50_ms": found[len(found) // 2],
        "p99_ms": found[int(len(found) * 0.99)],
        "samples": len(found),
    }


async def answered(side: Side, tally: Tally, worker: Worker) -> float:
    """Milliseconds until a probe ran."""
    tally.write(PROBE, 0)
    began = time.monotonic_ns()
    await side.probe()
    await until(lambda: tally.read(PROBE) != 0, worker, pause=0.0005)
    return (tally.read(PROBE) - began) / 1e6


# --- steps ----------------------------------------------------------------------------------------------------------


async def fill(side: Side, jobs: int) -> None:
    """That many jobs, by the fastest way that the system has."""
    if side.bulk is not None:
        for start in range(0, jobs, BULK):
            await side.bulk(range(start, start + BULK))
    elif side.together:
        await by_coroutines(side, jobs)
    else:
        for number in range(jobs):
            await side.enqueue(number)
    assert await side.left() == jobs, "not all jobs were enqueued"


async def by_coroutines(side: Side, jobs: int) -> None:
    async def some(numbers: range) -> None:
        for number in numbers:
            await side.enqueue(number)

    await asyncio.gather(*(some(range(start, jobs, 100)) for start in range(100)))


@asynccontextmanager
async def started(side: Side) -> AsyncIterator[Worker]:
    """A worker process. Its own words go to our errors, to be read where it does not work."""
    worker = subprocess.Popen(
        bound([sys.executable, "-m", *side.worker]), stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    try:
        yield worker
    finally:
        await asyncio.to_thread(stop, worker)


def stop(worker: Worker) -> None:
    """End the worker and the processes that it started."""
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(1)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


async def until(condition: Callable[[], bool], worker: Worker, *, pause: float = LOOK) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if worker.poll() is not None:
            raise RuntimeError(f"its worker ended with {worker.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened within {PATIENCE:g} s")
        await asyncio.sleep(pause)


async def until_recorded(side: Side) -> None:
    deadline = time.monotonic() + PATIENCE
    while await side.left():
        if time.monotonic() > deadline:
            raise TimeoutError(f"jobs were left after {PATIENCE:g} s")
        await asyncio.sleep(LOOK)


def server_seconds() -> float:
    """Processor time of the server; 0 where there is none."""
    return seconds_of(int(os.environ["BENCH_SERVER"])) if "BENCH_SERVER" in os.environ else 0.0
