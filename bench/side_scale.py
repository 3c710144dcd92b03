"""Stoker's drain beside the jobs that a store already holds: these are of a task known to the worker, and come after."""

import asyncio
import json
import os
import sys
import time

from msgspec.structs import replace

from stoker import Stoker
from stoker.clock import IdSource
from stoker.member import SWITCH_INTERVAL, run_loop

DAY = 86_400

app = Stoker(os.environ["BENCH_URL"])
goal = count = 0
finished = asyncio.Event()


@app.task(name="noop")
async def noop(number: int, text: str) -> None:
    global count
    count += 1
    if count == goal:
        finished.set()


@app.task(name="other", priority=-1)
async def other(number: int, text: str) -> None:
    pass


# --- what is there already ------------------------------------------------------------------------------------------


def plant(state: str, jobs: int) -> dict:
    """That many jobs `queued`, `scheduled` for tomorrow, or `completed`, by the store's own verbs."""
    began = time.perf_counter()
    if state == "completed":
        _plant_completed(jobs)
    else:
        call = (other.using(delay=DAY) if state == "scheduled" else other).call
        for start in range(0, jobs, 1000):
            app.enqueue_many([call(start, "text") for _ in range(min(1000, jobs - start))])
    return {"seconds": time.perf_counter() - began}


def _plant_completed(jobs: int) -> None:
    """Runs one, and restores it under other ids."""
    handle = other.enqueue(1, "text")
    run_loop(app.worker(drain=True).serve())
    job = app.jobs.get(handle.id)
    ids = IdSource()
    for start in range(1, jobs, 1000):
        copies = [replace(job, id=id) for id in ids.take(min(1000, jobs - start))]
        assert app.engine.run(app.engine.connection.store.restore(copies)) == len(copies)


# --- the drain ------------------------------------------------------------------------------------------------------


def drain(jobs: int) -> dict:
    global goal
    goal = jobs
    for start in range(0, jobs, 1000):
        app.enqueue_many([noop.call(start, "text") for _ in range(1000)])
    sys.setswitchinterval(SWITCH_INTERVAL)
    return {"per_second": jobs / run_loop(run()), "concurrency": 50, "batch": "up to 500"}


async def run() -> float:
    worker = app.worker(grace=0)
    began = time.perf_counter()
    serving = asyncio.ensure_future(worker.serve())
    await finished.wait()
    seconds = time.perf_counter() - began
    worker.stop()
    await serving
    return seconds


if __name__ == "__main__":
    verbs = {"drain": drain, "plant": plant}
    result = verbs[sys.argv[1]](*(json.loads(argument) for argument in sys.argv[2:]))
    app.close()
    print(json.dumps(result))
