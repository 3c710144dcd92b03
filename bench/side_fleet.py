"""Stoker with worker processes of their own, on any store."""

import asyncio
import json
import subprocess
import sys
import time

from servers.process import bound

from bench.processor import seconds_of
from bench.server_writes import writes
from bench.side import Facts, Side, fill, main, server_seconds, started
from bench.side_stoker import app, noop, serve
from bench.tally import Tally
from stoker.member import SWITCH_INTERVAL, run_loop

tally = Tally()


@app.task(name="probe")
async def probe() -> None:
    tally.probe()


async def bulk(numbers: range) -> None:
    await app.aenqueue_many([noop.call(number, "text") for number in numbers])


async def left() -> int:
    counts = await app.jobs.acount(task="noop")
    return sum(counts.values()) - counts.get("completed", 0)


side = Side(
    worker=["bench.side_fleet", "serve"],
    facts={"concurrency": "50 at once", "batch": "up to 500", "keeps": "the whole record"},
    enqueue=lambda number: noop.aenqueue(number, "text"),
    probe=probe.aenqueue,
    left=left,
    bulk=bulk,
    together=True,
    end=app.aclose,
)


async def drain(side: Side, jobs: int, processes: int) -> Facts:
    """From the word to begin until the last process has recorded its last job and left."""
    await fill(side, jobs)
    workers = [Drainer() for _ in range(processes)]
    for worker in workers:
        await worker.ready()
    server = server_seconds()
    began = time.monotonic_ns()
    for worker in workers:
        worker.go()
    reports = [await worker.report() for worker in workers]
    seconds = (max(report["ended"] for report in reports) - began) / 1e9
    spent = server_seconds() - server
    assert await left() == 0, "jobs were left"
    return {
        "per_second": jobs / seconds,
        "jobs": jobs,
        "server_us": spent / jobs * 1e6,
        "client_us": sum(report["spent"] for report in reports) / jobs * 1e6,
        **side.facts,
    }


class Drainer:
    """A worker process that does what is due when it is told to, and ends."""

    def __init__(self) -> None:
        command = bound([sys.executable, "-m", "bench.side_fleet", "work"])
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def ready(self) -> None:
        await self._line()

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    async def report(self) -> dict[str, float]:
        report: dict[str, float] = json.loads(await self._line())
        await asyncio.to_thread(self._process.wait)
        return report

    async def _line(self) -> str:
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        if not line:
            raise RuntimeError("a worker process ended early")
        return line


def work() -> None:
    """The other end of a `Drainer`."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    worker = app.worker(drain=True)
    print("ready", flush=True)
    sys.stdin.readline()
    spent = time.process_time()
    run_loop(worker.serve())
    print(json.dumps({"ended": time.monotonic_ns(), "spent": time.process_time() - spent}), flush=True)
    app.close()


async def idle(side: Side, seconds: float) -> Facts:
    """What a worker with nothing to do costs, and what it makes the server do."""
    async with started(side) as worker:
        await side.probe()
        await asyncio.sleep(3)
        written, server, client = writes(), server_seconds(), seconds_of(worker.pid)
        await asyncio.sleep(seconds)
        return {
            "cpu_percent": (seconds_of(worker.pid) - client) / seconds * 100,
            "server_cpu_percent": (server_seconds() - server) / seconds * 100,
            "writes_per_second": (writes() - written) / seconds,
            "seconds": seconds,
        }


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work()
    elif sys.argv[1] == "serve":
        serve()
    else:
        main(side, drain=drain, idle=idle)
