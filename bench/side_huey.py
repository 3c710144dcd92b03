"""Huey on SQLite, as a peer: one thread, at most once, as it comes."""

import json
import logging
import os
import sys
import threading
import time

from huey import SqliteHuey

PATH, SYNCHRONOUS = os.environ["BENCH_PATH"], os.environ["BENCH_SYNCHRONOUS"]
huey = SqliteHuey(filename=PATH, fsync=SYNCHRONOUS == "full", journal_mode="wal")
logging.getLogger("huey").setLevel(logging.ERROR)

done = threading.Event()
count = 0
goal = 0


@huey.task()
def noop(number, text):
    global count
    count += 1
    if count == goal:
        done.set()


@huey.task()
def stamp():
    return time.monotonic_ns()


def drain(jobs: int) -> dict:
    global goal
    goal = jobs
    with huey.storage.db(commit=True, close=False):
        pass
    for number in range(jobs):
        noop(number, "text")
    consumer = huey.create_consumer(workers=1, periodic=False, check_worker_health=False)
    began = time.perf_counter()
    consumer.start()
    done.wait()
    seconds = time.perf_counter() - began
    consumer.stop(graceful=True)
    return {"per_second": jobs / seconds, "workers": "1 thread", "batch": 1}


def enqueue_one(jobs: int) -> dict:
    began = time.perf_counter()
    for number in range(jobs):
        noop(number, "text")
    return {"per_second": jobs / (time.perf_counter() - began), "batch": 1}


def serve() -> dict:
    huey.create_consumer(workers=1, periodic=False).run()
    return {}


def latency(samples: int) -> dict:
    import random

    chance = random.Random(7)
    found = []
    for _ in range(samples):
        time.sleep(chance.uniform(0.01, 0.04))
        began = time.monotonic_ns()
        result = stamp()
        found.append((result.get(blocking=True, timeout=30, backoff=1.0, max_delay=0.005) - began) / 1e6)
    found = sorted(found[10:])
    return {"p50_ms": found[len(found) // 2], "p99_ms": found[int(len(found) * 0.99)], "samples": len(found)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*(json.loads(argument) for argument in sys.argv[2:]))))
    sys.stdout.flush()
    os._exit(0)
