"""What is measured of the SQLite store: with both settings of durability, beside bare `sqlite3` and huey."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.background_sqlite import BACKGROUNDS, CROWDED, prepare
from bench.flow import flow as flow_of
from bench.measuring import Facts, Measure, jobs, rounds, run, seconds
from bench.places import empty_file, file_place
from bench.store import Store, machine
from bench.tally import Tally
from bench.web import web as web_of

SYNCHRONOUS = ("full", "normal")
SETTINGS = "no-op async task with an int and a str, records and fences kept"


def alone(side: str, synchronous: str, verb: str, *arguments: Any) -> Facts:
    """A side on a file of its own."""
    with empty_file(synchronous) as place:
        return run(side, place, verb, *arguments)


def beside(side: str, synchronous: str, samples: int) -> Facts:
    """Latency from one process to another."""
    with empty_file(synchronous) as place, tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "BENCH_TALLY": Tally.create(Path(folder) / "tally"), **place}
        command = [sys.executable, "-m", f"bench.side_{side}"]
        server = subprocess.Popen([*command, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            arguments = ["latency", str(samples), *(["false"] if side == "stoker" else [])]
            done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=600)
            facts: Facts = json.loads(done.stdout.splitlines()[-1])
            return facts
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def drain() -> dict[str, Facts]:
    sides: dict[str, Measure] = {}
    for synchronous in SYNCHRONOUS:
        sides[f"stoker, {synchronous}"] = partial(alone, "stoker", synchronous, "drain", jobs(50_000))
        sides[f"stoker, 2 processes, {synchronous}"] = partial(alone, "fleet", synchronous, "drain", jobs(50_000), 2)
        sides[f"raw sqlite3, {synchronous}"] = partial(alone, "raw_sqlite", synchronous, "drain", jobs(50_000))
        sides[f"huey, {synchronous}"] = partial(alone, "huey", synchronous, "drain", jobs(10_000))
    return rounds(sides)


def enqueue() -> dict[str, Facts]:
    sides: dict[str, Measure] = {}
    for synchronous in SYNCHRONOUS:
        for name, side in {"stoker": "stoker", "raw": "raw_sqlite", "huey": "huey"}.items():
            sides[f"{name}, one by one, {synchronous}"] = partial(alone, side, synchronous, "enqueue_one", jobs(5_000))
        for name, side in {"stoker": "stoker", "raw": "raw_sqlite"}.items():
            sides[f"{name}, bulk, {synchronous}"] = partial(alone, side, synchronous, "enqueue_bulk", jobs(50_000))
        together = partial(alone, "stoker", synchronous, "enqueue_many_at_once", jobs(20_000))
        sides[f"stoker, 100 coroutines, {synchronous}"] = together
    return rounds(sides)


def latency() -> dict[str, Facts]:
    sides: dict[str, Measure] = {}
    for synchronous in SYNCHRONOUS:
        sides[f"stoker, same process, {synchronous}"] = partial(alone, "stoker", synchronous, "latency", 300, True)
        sides[f"stoker, across processes, {synchronous}"] = partial(beside, "stoker", synchronous, 300)
    sides["huey, across processes, full"] = partial(beside, "huey", "full", 100)
    return rounds(sides)


def memory() -> dict[str, Facts]:
    return rounds({"stoker, normal": partial(alone, "stoker", "normal", "memory", jobs(400_000))}, 1)


def idle() -> dict[str, Facts]:
    return rounds({"stoker, full": partial(alone, "stoker", "full", "idle", seconds(20))}, 1)


def flow() -> dict[str, Facts]:
    """Workflows, limits and schedules."""
    return flow_of(lambda side, *words: alone(side, "full", *words))


def scale() -> dict[str, Facts]:
    """The same drain in an empty file, with 1,000,000 jobs queued behind, and with 5,000,000 finished rows."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as folder:
        paths = {name: prepare(f"{folder}/{name}.db", background) for name, background in BACKGROUNDS.items()}

        def one(name: str) -> Facts:
            return run("scale", file_place(paths[name], "normal"), "drain", jobs(50_000))

        return rounds({name: partial(one, name) for name in BACKGROUNDS})


def web() -> dict[str, Facts]:
    """The dashboard over many jobs, and what watching costs the workers."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as folder:
        return web_of(file_place(prepare(f"{folder}/crowded.db", CROWDED), "normal"))


@contextmanager
def opened() -> Iterator[Store]:
    """The store, to be measured."""
    sections = {section.__name__: section for section in (drain, enqueue, latency, memory, idle, flow, scale, web)}
    yield Store("SQLite", machine({"sqlite": sqlite3.sqlite_version}, "huey", settings=SETTINGS), sections)
