"""Stoker's drain beside the jobs that a file already holds: these are of a task known to the worker, and come after."""

import asyncio
import json
import os
import sys
import time

from stoker import Stoker
from stoker.member import SWITCH_INTERVAL, run_loop

app = Stoker(os.environ["BENCH_URL"])
goal = count = 0
finished = asyncio.Event()


@app.task(name="noop")
async def noop(number: int, text: str) -> None:
    global count
    count += 1
    if count == goal:
        finished.set()


@app.task(name="other")
async def other(number: int, text: str) -> None:
    pass


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
    result = drain(*(json.loads(argument) for argument in sys.argv[2:]))
    app.close()
    print(json.dumps(result))
