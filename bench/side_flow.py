"""What workflows, limits and schedules cost: Stoker in one process, with a worker of its own. Prints one JSON object."""

import asyncio
import json
import os
import sys
import time

from stoker import Stoker, batch, chain
from stoker.member import SWITCH_INTERVAL, run_loop

app = Stoker(os.environ["BENCH_URL"])
SETTINGS = {"concurrency": 50, "batch": "up to 500"}


@app.task(name="step")
async def step(number: int) -> int:
    return number + 1


@app.task(name="end")
async def end() -> None:
    pass


@app.task(name="plain")
async def plain(number: int) -> None:
    pass


@app.task(name="limited", concurrency=50)
async def limited(number: int) -> None:
    pass


@app.task(name="keyed", concurrency=1, by="key")
async def keyed(key: int, number: int) -> None:
    pass


@app.task(name="shared", queue="fair")
async def shared(number: int) -> None:
    pass


def run_chain(length: int) -> dict:
    """A chain of that many steps, each of which gets the result of the one before."""
    return _run(chain(step.call(0), *(step.call() for _ in range(length - 1))), length)


def run_batch(width: int) -> dict:
    """A batch of that many, and what runs after all of them."""
    return _run(batch([step.call(number) for number in range(width)], then=end.call()), width + 1)


def run_gather(width: int) -> dict:
    """The same, and a step that gets all the results."""

    @app.task(name="gather")
    async def gather(numbers: list[int]) -> int:
        return sum(numbers)

    return _run(chain(batch([step.call(number) for number in range(width)]), gather.call()), width + 1)


def _run(flow, jobs: int) -> dict:
    began = time.perf_counter()
    handle = flow.enqueue()
    enqueued = time.perf_counter() - began
    seconds = run_loop(_drain())
    assert handle.refresh().counts == {"completed": jobs}, handle.refresh()
    return {"jobs": jobs, "enqueue_us": enqueued / jobs * 1e6, "run_us": seconds / jobs * 1e6, **SETTINGS}


def drain(kind: str, jobs: int) -> dict:
    """Plain jobs, or as many that have a limit, a limit for each of 1,000 keys, or turns between 100 owners."""
    if kind == "shared":
        app.queues.limit("fair", fair="owner")
    made = {
        "plain": lambda number: plain.call(number),
        "limited": lambda number: limited.call(number),
        "keyed": lambda number: keyed.call(number % 1000, number),
        "shared": lambda number: shared.using(owner=f"u{number % 100}").call(number),
    }[kind]
    began = time.perf_counter()
    for start in range(0, jobs, 1000):
        app.enqueue_many([made(number) for number in range(start, min(jobs, start + 1000))])
    enqueued = time.perf_counter() - began
    seconds = run_loop(_drain())
    assert app.jobs.count() == {"completed": jobs}
    return {"jobs": jobs, "enqueued_per_second": jobs / enqueued, "per_second": jobs / seconds, **SETTINGS}


def tenant(fair: bool, jobs: int) -> dict:
    """How long one owner's single job waits that comes after another owner's many."""
    app.queues.limit("fair", fair="owner" if fair else None)
    for start in range(0, jobs, 1000):
        app.enqueue_many([shared.using(owner="large").call(n) for n in range(min(1000, jobs - start))])
    [single] = app.enqueue_many([shared.using(owner="small").call(0)])
    began = time.time()
    run_loop(_drain())
    started_at = single.refresh().started_at
    assert started_at is not None
    return {"jobs": jobs, "wait_ms": max(0.0, started_at.timestamp() - began) * 1e3, **SETTINGS}


async def _drain() -> float:
    sys.setswitchinterval(SWITCH_INTERVAL)
    worker = app.worker(drain=True)
    began = time.perf_counter()
    await worker.serve()
    return time.perf_counter() - began


def schedules(count: int, seconds: float) -> dict:
    """An idle process with that many schedules, none of which is due."""
    began = time.perf_counter()
    for number in range(count):
        app.schedules.cron("0 0 1 1 *", plain, name=f"yearly {number}", args=(number,))

    async def rest() -> dict:
        worker = app.worker()
        started = asyncio.Event()
        serving = asyncio.ensure_future(worker.serve(started))
        scheduler = app.scheduler()
        scheduler.start()
        await started.wait()
        while len(app.schedules.list()) < count:
            await asyncio.sleep(0.2)
        declared = time.perf_counter() - began
        await asyncio.sleep(3)
        before = time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - before
        scheduler.stop()
        worker.stop()
        await serving
        return {"schedules": count, "declared_s": declared, "cpu_percent": used / seconds * 100, "seconds": seconds}

    return run_loop(rest())


def main() -> None:
    verb, arguments = sys.argv[1], [json.loads(argument) for argument in sys.argv[2:]]
    result = globals()[verb](*arguments)
    app.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
