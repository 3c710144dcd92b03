"""`stoker bench`: how fast this machine and store are, in a few seconds."""

from __future__ import annotations

import asyncio
import logging
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import Struct

from stoker import clock
from stoker.app import Stoker
from stoker.cli.command import command
from stoker.cli.output import Output, note
from stoker.cli.where import UrlOption
from stoker.store import Filter

ONES = 500
"""Jobs enqueued one by one: enough to tell, few enough for a slow disk."""


class Measured(Struct, frozen=True):
    """What was measured, and everything that the numbers depend on."""

    place: str
    durability: str
    python: str
    jobs: int
    batch: int
    concurrency: int
    enqueue_one_per_second: float
    """each job in a transaction of its own, from one thread"""
    enqueue_batch_per_second: float
    drain_per_second: float
    """jobs that do nothing, through one worker process"""


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(
        group, "bench", "stoker bench", "stoker bench --url 'sqlite:///jobs.db?synchronous=normal'", panel="Operate"
    )(bench)


def bench(
    out: Output,
    url: UrlOption = None,
    jobs: Annotated[int, typer.Option("--jobs", "-n", min=1, help="How many jobs.")] = 5000,
    batch: Annotated[int, typer.Option("--batch", "-b", min=1, help="Jobs in one enqueue.")] = 500,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Jobs at once.")] = 50,
) -> None:
    """Measure how fast jobs that do nothing are enqueued and run, on a temporary SQLite file or on --url.

    On --url it uses a queue of its own and deletes its jobs afterwards. A number is worth nothing without what it
    depends on, so that is printed too.
    """
    with _place(url) as chosen, Stoker(chosen, mode="queue") as app:
        measured = measure(app, jobs, batch, concurrency)
    if out.json:
        out.data(measured)
        return
    out.facts(
        [
            ("place", measured.place),
            ("durability", measured.durability),
            ("python", measured.python),
            ("jobs", f"{jobs:,}, doing nothing; batches of {batch}; {concurrency} at once in one worker process"),
            ("enqueue, one by one", f"{measured.enqueue_one_per_second:,.0f} jobs/s"),
            ("enqueue, in batches", f"{measured.enqueue_batch_per_second:,.0f} jobs/s"),
            ("run to the end", f"{measured.drain_per_second:,.0f} jobs/s"),
        ]
    )


@contextmanager
def _place(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="stoker-bench-") as folder:
        yield f"sqlite:///{Path(folder) / 'jobs.db'}"


def measure(app: Stoker, jobs: int, batch: int, concurrency: int) -> Measured:
    """Enqueue and run jobs; what this leaves in the store is deleted."""
    queue = f"stoker-bench-{clock.chance().getrandbits(32):08x}"

    @app.task(name=queue, queue=queue)
    async def nothing() -> None: ...

    logging.getLogger("stoker").setLevel(logging.WARNING)
    try:
        return _measure(app, nothing, queue, jobs, batch, concurrency)
    finally:
        app.jobs.delete(Filter(queue=queue))


def _measure(app: Stoker, task: Any, queue: str, jobs: int, batch: int, concurrency: int) -> Measured:
    app.engine.open()
    ones = min(ONES, jobs)
    began = clock.monotonic()
    for _ in range(ones):
        task.enqueue()
    single = ones / (clock.monotonic() - began)
    calls = [task.call() for _ in range(jobs)]
    began = clock.monotonic()
    for start in range(0, jobs, batch):
        app.enqueue_many(calls[start : start + batch])
    batched = jobs / (clock.monotonic() - began)
    worker = app.worker(queues=[queue], concurrency=concurrency, drain=True)
    began = clock.monotonic()
    asyncio.run(worker.serve())
    drained = (jobs + ones) / (clock.monotonic() - began)
    left = app.jobs.count(queue=queue, state="queued").get("queued", 0)
    if left:
        note(f"{left} jobs were not run; the last number is wrong")
    return Measured(
        place=app.engine.connection.driver.place,
        durability=app.engine.connection.driver.durability,
        python=f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}",
        jobs=jobs,
        batch=batch,
        concurrency=concurrency,
        enqueue_one_per_second=round(single, 1),
        enqueue_batch_per_second=round(batched, 1),
        drain_per_second=round(drained, 1),
    )
