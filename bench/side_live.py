"""Stoker's streams: many clients over sockets on one server, which counts what it asks the store.

The measuring process plays the worker and all clients; the server runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from servers.process import bound
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from bench.processor import resident_mb, seconds_of
from bench.side import PATIENCE, server_seconds
from stoker import Stoker
from stoker.clock import SECOND
from stoker.job import Claim, Outcome, Progress, Verdict
from stoker.member import run_loop
from stoker.store import Routing, Want, Worker
from stoker.web import create
from stoker.web.server import Server, listen, url_of

LEASE = 3600 * SECOND
AT_ONCE = 50
"""Connections that are being opened."""
BATCH = 500
BEAT = 0.25
"""Seconds between two reports of progress, as a worker makes them."""

app = Stoker(os.environ["BENCH_URL"], mode="queue")
task = app.task(name="live")(lambda: None)


def allow_many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# --- the server ------------------------------------------------------------------------------------------------------


async def serve() -> None:
    """Until this process is ended."""
    asked: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    real = app.engine.arun

    async def counted(plan: Any) -> Any:
        began = time.perf_counter()
        try:
            return await real(plan)
        finally:
            asked[plan.name] += 1
            seconds[plan.name] += time.perf_counter() - began  # type: ignore[assignment]

    app.engine.arun = counted  # type: ignore[method-assign]

    async def count(_: Request) -> JSONResponse:
        return JSONResponse({"asked": asked, "seconds": seconds, "cpu": time.process_time(), "mb": resident_mb()})

    there = listen("127.0.0.1", 0, identified=False)
    web = Starlette(routes=[Route("/count", count), Mount("/", app=create(app))])
    await Server(web, there, announce=lambda: print(url_of(there), flush=True)).serve()


@contextmanager
def served() -> Iterator[tuple[str, int]]:
    """The server's URL, and its pid."""
    command = bound([sys.executable, "-m", "bench.side_live", "serve"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip().rstrip("/"), server.pid
        finally:
            server.kill()


# --- jobs that do what they are told ---------------------------------------------------------------------------------


class Hand:
    """The worker of all jobs."""

    def __init__(self, jobs: int) -> None:
        store, run = app.engine.open().store, app.engine.run
        run(store.register(Worker(id="hand", host="h", pid=1, version="1", concurrency=jobs), LEASE))
        app.enqueue_many([task.call() for _ in range(jobs)])
        routing = Routing(tasks=frozenset({"live"}))
        self.claims: list[Claim] = []
        while len(self.claims) < jobs:
            self.claims += run(store.exchange("hand", [], [Want(None, BATCH)], routing, BATCH)).claims

    async def report(self, beat: int, number: int) -> None:
        """Some of the jobs have come further."""
        some = [self.claims[(beat * number + n) % len(self.claims)] for n in range(number)]
        reports = [Progress(claim.ref, claim.fence, (beat % 100) / 100, f"beat {beat}") for claim in some]
        await app.engine.arun(app.engine.connection.store.heartbeat("hand", reports, LEASE))

    async def end_all(self) -> None:
        for start in range(0, len(self.claims), BATCH):
            some = self.claims[start : start + BATCH]
            outcomes = [Outcome(claim.ref, claim.fence, Verdict.COMPLETED, result='"done"') for claim in some]
            await app.engine.arun(app.engine.connection.store.exchange("hand", outcomes))


# --- clients ---------------------------------------------------------------------------------------------------------


class Client:
    """One open stream."""

    def __init__(self) -> None:
        self.events = 0
        self.ended_at: float | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def follow(self, host: str, port: int, id: str, turn: asyncio.Semaphore) -> None:
        """Until the job has ended."""
        async with turn:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET /jobs/{id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            while not (await reader.readline()).startswith(b"event: progress"):
                assert not reader.at_eof(), "the server sent no event"
            self.events += 1
            self.opened.set_result(None)
        while line := await reader.readline():
            if line.startswith(b"event: "):
                self.events += 1
                if line.startswith(b"event: completed"):
                    self.ended_at = time.monotonic()
        writer.close()


class Crowd:
    """Streams, all open, evenly over the jobs."""

    def __init__(self, url: str, hand: Hand, streams: int) -> None:
        host, port = httpx.URL(url).host, httpx.URL(url).port
        turn = asyncio.Semaphore(AT_ONCE)
        self.clients = [Client() for _ in range(streams)]
        ids = [claim.id for claim in hand.claims]
        self._tasks = [
            asyncio.ensure_future(client.follow(host, port or 80, ids[number % len(ids)], turn))
            for number, client in enumerate(self.clients)
        ]

    async def open(self) -> None:
        opening = asyncio.gather(*(client.opened for client in self.clients))
        await asyncio.wait({opening, *self._tasks}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert opening.done(), "not all streams could be opened"

    async def end(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._tasks)

    @property
    def events(self) -> int:
        return sum(client.events for client in self.clients)


# --- what is measured ------------------------------------------------------------------------------------------------


async def clients(streams: int, jobs: int) -> dict[str, Any]:
    """How long after all jobs ended every client knows it."""
    hand = Hand(jobs)
    with served() as (url, pid):
        crowd = Crowd(url, hand, streams)
        await crowd.open()
        cpu = seconds_of(pid)
        await hand.end_all()
        ended = time.monotonic()
        await crowd.end()
        cpu = seconds_of(pid) - cpu
    late = sorted(client.ended_at - ended for client in crowd.clients if client.ended_at is not None)
    assert len(late) == streams, f"{streams - len(late)} clients were not told of the end"
    return {
        "told": len(late),
        "p50_ms": late[streams // 2] * 1e3,
        "p99_ms": late[int(streams * 0.99)] * 1e3,
        "last_ms": late[-1] * 1e3,
        "server_us_a_client": cpu / streams * 1e6,
    }


async def settled(web: httpx.AsyncClient) -> None:
    """Wait until the watcher has asked a few times for all of them."""

    async def asked() -> int:
        count: int = (await web.get("/count")).json()["asked"].get("changes", 0)
        return count

    enough = await asked() + 4
    async with asyncio.timeout(PATIENCE):
        while await asked() < enough:
            await asyncio.sleep(BEAT)


async def streams(number: int, jobs: int, changes: int, seconds: float) -> dict[str, Any]:
    """What open streams cost while so many jobs a second report progress."""
    hand = Hand(jobs)
    with served() as (url, pid):
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as web:
            before = (await web.get("/count")).json()["mb"]
            crowd = Crowd(url, hand, number)
            await crowd.open()
            await settled(web)
            first, events, cpu, store = (
                (await web.get("/count")).json(),
                crowd.events,
                seconds_of(pid),
                server_seconds(),
            )
            began = time.monotonic()
            beat = 0
            while (left := began + seconds - time.monotonic()) > 0:
                if changes:
                    await hand.report(beat, round(changes * BEAT))
                beat += 1
                await asyncio.sleep(min(left, max(0.0, began + beat * BEAT - time.monotonic())))
            cpu, store = seconds_of(pid) - cpu, server_seconds() - store
            last, took = (await web.get("/count")).json(), time.monotonic() - began
            events = crowd.events - events
        await hand.end_all()
        await crowd.end()
    asked = last["asked"]["changes"] - first["asked"].get("changes", 0)
    others = sum(last["asked"].values()) - sum(first["asked"].values()) - asked
    assert others == 0, f"{others} questions besides those of the watcher"
    return {
        "questions_per_second": asked / took,
        "question_ms": (last["seconds"]["changes"] - first["seconds"].get("changes", 0)) / asked * 1e3,
        "events_per_second": events / took,
        "server_cpu_percent": cpu / took * 100,
        "store_cpu_percent": store / took * 100,
        "kb_a_stream": (last["mb"] - before) * 1024 / number,
    }


if __name__ == "__main__":
    allow_many_files()
    if sys.argv[1] == "serve":
        run_loop(serve())
        sys.exit()
    result = run_loop({"clients": clients, "streams": streams}[sys.argv[1]](*map(json.loads, sys.argv[2:])))
    app.close()
    print(json.dumps(result))
