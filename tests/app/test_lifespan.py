"""`app.lifespan()` inside real servers: with every framework, and in several processes that share one queue."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import places
from stoker import Stoker

WAIT = 60.0
JOBS = 300

APP = """
import asyncio, os
from stoker import Stoker

app = Stoker(os.environ["PLACE"])
ran = os.open("ran", os.O_APPEND | os.O_CREAT | os.O_RDWR)


def processes():
    with open("ran") as lines:
        return {line.split()[1] for line in lines}


@app.task(timeout=60)
async def note(number: int) -> int:
    os.write(ran, f"{number} {os.getpid()}\\n".encode())
    while len(processes()) < int(os.environ["SERVERS"]):  # so no process can do it all alone
        await asyncio.sleep(0.01)
    return number
"""

FRAMEWORKS = {
    "fastapi": """
from fastapi import FastAPI
from work import app, note

api = FastAPI(lifespan=app.lifespan(concurrency=4))


@api.post("/notes/{number}", status_code=202)
async def make(number: int) -> str:
    return (await note.aenqueue(number)).id
""",
    "starlette": """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from work import app, note


async def make(request):
    return JSONResponse((await note.aenqueue(request.path_params["number"])).id, 202)


api = Starlette(routes=[Route("/notes/{number:int}", make, methods=["POST"])], lifespan=app.lifespan(concurrency=4))
""",
    "litestar": """
from litestar import Litestar, post
from work import app, note


@post("/notes/{number:int}", status_code=202)
async def make(number: int) -> str:
    return (await note.aenqueue(number)).id


api = Litestar([make], lifespan=[app.lifespan(concurrency=4)])
""",
}


@contextmanager
def served(folder: Path, framework: str, place: str, servers: int = 1) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Uvicorn with that many processes, and its URL."""
    (folder / "work.py").write_text(APP)
    (folder / "main.py").write_text(FRAMEWORKS[framework])
    command = ["uvicorn", "main:api", "--port", "0", "--workers", str(servers), "--no-access-log"]
    patience = ["--timeout-worker-healthcheck", "60"]  # else one that does not get the CPU for a while is killed
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *patience],
        cwd=folder,
        env=os.environ | {"PLACE": place, "SERVERS": str(servers), "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    bell = threading.Timer(4 * WAIT, process.kill)
    bell.start()
    try:
        assert process.stderr is not None
        said: list[str] = []
        url = ""
        while not url or sum("startup complete" in line for line in said) < servers:
            said.append(process.stderr.readline())
            assert said[-1], "".join(said)
            if found := re.search(r"running on (http://[\d.:]+)", said[-1]):
                url = found[1]
        yield url, process
    finally:
        bell.cancel()
        process.kill()
        process.communicate()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_a_worker_runs_inside_the_server(tmp_path: Path, framework: str) -> None:
    with (
        places.fresh("sqlite-full", tmp_path) as place,
        Stoker(place) as app,
        served(tmp_path, framework, place) as (url, process),
    ):
        [worker] = app.workers.list()
        assert (worker.pid, worker.concurrency) == (process.pid, 4)
        answer = httpx.post(f"{url}/notes/7", timeout=WAIT)
        assert answer.status_code == 202
        assert app.jobs.handle(answer.text.strip('"')).result(WAIT) == 7
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT)
        assert app.workers.list() == []


@pytest.mark.parametrize("store", ["sqlite-full", "postgres", "redis"])
@pytest.mark.parametrize("servers", [2, 3])
def test_several_servers_share_one_queue_and_double_nothing(tmp_path: Path, store: str, servers: int) -> None:
    with (
        places.fresh(store, tmp_path) as place,
        Stoker(place) as app,
        served(tmp_path, "fastapi", place, servers) as (url, process),
    ):
        assert len(app.workers.list()) == servers
        with httpx.Client(base_url=url, timeout=WAIT) as client:
            ids = {client.post(f"/notes/{number}").json() for number in range(JOBS)}
        assert len(ids) == JOBS
        until(lambda: app.jobs.count() == {"completed": JOBS})
        lines = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
        assert Counter(int(number) for number, _ in lines) == dict.fromkeys(range(JOBS), 1)
        assert len({pid for _, pid in lines}) == servers
        assert {job.attempt for job in app.jobs.list(limit=JOBS)} == {1}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT)
        assert app.workers.list() == []
