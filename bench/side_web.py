"""Stoker's pages over a crowded store, and its drain while somebody looks at them."""

import asyncio
import json
import statistics
import subprocess
import sys
import time

import httpx
from servers.process import bound

from bench.side_scale import app, drain
from stoker.member import run_loop
from stoker.web import create

PAGES = {
    "overview": "/",
    "jobs": "/ui/jobs",
    "jobs, completed": "/ui/jobs?state=completed",
    "jobs, failed": "/ui/jobs?state=failed",
    "jobs of a task": "/ui/jobs?task=noop",
    "jobs, text that none has": "/ui/jobs?text=nowhere",
    "queues": "/ui/queues",
    "workers": "/ui/workers",
    "API, a page of jobs": "/jobs?limit=50",
    "API, stats": "/stats",
    "API, metrics": "/metrics",
}
TIMES = 9


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create(app)), base_url="http://127.0.0.1", timeout=60)


async def pages() -> dict:
    """Milliseconds: the first look, and the median of the others."""
    found = {}
    async with client() as web:
        for name, path in PAGES.items():
            taken = []
            for _ in range(TIMES):
                began = time.perf_counter()
                answer = await web.get(path)
                taken.append((time.perf_counter() - began) * 1e3)
            found[name] = {
                "first_ms": taken[0],
                "median_ms": statistics.median(taken[1:]),
                "status": answer.status_code,
            }
    return found


async def look(what: str) -> None:
    """At the overview, or at all pages one after the other: every other second, until this process is ended."""
    async with client() as web:
        for path in PAGES.values():
            await web.get(path)
        print("looking", flush=True)
        while True:
            for path in PAGES.values() if what == "all" else ["/"]:
                began = time.monotonic()
                await web.get(path)
                await asyncio.sleep(max(0.0, 2.0 - (time.monotonic() - began)))


def watched(jobs: int, what: str) -> dict:
    """The drain of `side_scale`, with somebody at the pages or not."""
    if not what:
        return drain(jobs)
    command = bound([sys.executable, "-m", "bench.side_web", "look", what])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as somebody:
        assert somebody.stdout is not None
        somebody.stdout.readline()
        try:
            return drain(jobs)
        finally:
            somebody.kill()


if __name__ == "__main__":
    if sys.argv[1] == "look":
        run_loop(look(sys.argv[2]))
    result = run_loop(pages()) if sys.argv[1] == "pages" else watched(*map(json.loads, sys.argv[2:]))
    app.close()
    print(json.dumps(result))
