"""Stoker in one process: enqueues, and runs a worker on an event loop of its own. Prints one JSON object."""

import asyncio
import json
import os
import random
import sys
import time

from bench.processor import resident_mb
from stoker import Stoker
from stoker.member import SWITCH_INTERVAL, run_loop

URL = os.environ["BENCH_URL"]
app = Stoker(URL)
SETTINGS = {"concurrency": 50, "batch": "up to 500"}


@app.task(name="noop")
async def noop(number: int, text: str) -> None:
    pass


@app.task(name="stamp")
async def stamp() -> int:
    return time.monotonic_ns()


def fill(jobs: int, batch: int = 1000) -> float:
    began = time.perf_counter()
    for start in range(0, jobs, batch):
        app.enqueue_many([noop.call(number, "text") for number in range(start, min(jobs, start + batch))])
    return time.perf_counter() - began


def drain(jobs: int) -> dict:
    fill(jobs)
    sys.setswitchinterval(SWITCH_INTERVAL)
    seconds = run_loop(_drain())
    done = app.jobs.count(task="noop")
    assert done.get("completed", 0) >= jobs and set(done) == {"completed"}, done
    return {"per_second": jobs / seconds, **SETTINGS}


async def _drain() -> float:
    worker = app.worker(drain=True)
    began = time.perf_counter()
    await worker.serve()
    return time.perf_counter() - began


def enqueue_one(jobs: int) -> dict:
    noop.enqueue(0, "text")
    began = time.perf_counter()
    for number in range(jobs):
        noop.enqueue(number, "text")
    return {"per_second": jobs / (time.perf_counter() - began), "batch": 1}


def enqueue_bulk(jobs: int) -> dict:
    noop.enqueue(0, "text")
    return {"per_second": jobs / fill(jobs), "batch": 1000}


def enqueue_many_at_once(jobs: int) -> dict:
    async def run() -> float:
        await noop.aenqueue(0, "text")

        async def some(count: int) -> None:
            for number in range(count):
                await noop.aenqueue(number, "text")

        began = time.perf_counter()
        await asyncio.gather(*(some(jobs // 100) for _ in range(100)))
        return time.perf_counter() - began

    return {"per_second": jobs / run_loop(run()), "coroutines": 100}


def latency(samples: int, inside: bool) -> dict:
    """From the call of enqueue to the first line of the task, on an idle system."""

    async def run() -> list[float]:
        serving = None
        if inside:
            worker = app.worker()
            started = asyncio.Event()
            serving = asyncio.ensure_future(worker.serve(started))
            await started.wait()
        chance = random.Random(7)
        found = []
        for _ in range(samples):
            await asyncio.sleep(chance.uniform(0.01, 0.04))
            began = time.monotonic_ns()
            handle = await stamp.aenqueue()
            found.append((await handle - began) / 1e6)
        if serving is not None:
            worker.stop()
            await serving
        return found

    found = sorted(run_loop(run())[10:])
    return {"p50_ms": found[len(found) // 2], "p99_ms": found[int(len(found) * 0.99)], "samples": len(found)}


def memory(jobs: int) -> dict:
    """Resident memory of a worker process after a quarter, half and all of the jobs."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    resident = {}
    for share, part in (("quarter", jobs // 4), ("half", jobs // 4), ("all", jobs // 2)):
        for _ in range(part // 10_000):
            fill(10_000)
            run_loop(_drain())
        resident[f"after_{share}_mb"] = resident_mb()
    return {**resident, "jobs": jobs}


def idle(seconds: float) -> dict:
    async def run() -> float:
        worker = app.worker()
        started = asyncio.Event()
        serving = asyncio.ensure_future(worker.serve(started))
        await started.wait()
        await asyncio.sleep(2)
        before = time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - before
        worker.stop()
        await serving
        return used

    return {"cpu_percent": run_loop(run()) / seconds * 100, "seconds": seconds}


def serve() -> dict:
    from stoker.member import serve as serve_member

    sys.setswitchinterval(SWITCH_INTERVAL)
    return {"code": run_loop(serve_member(app.worker()))}


def main() -> None:
    verb, arguments = sys.argv[1], [json.loads(argument) for argument in sys.argv[2:]]
    result = globals()[verb](*arguments)
    app.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
