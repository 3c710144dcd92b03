"""Celery on Redis, as a peer: one process that runs its tasks itself (the pool `solo`), results off, prefetch 128."""

import os

from celery import Celery
from redis import Redis

from bench.side import Side, main
from bench.tally import Tally

URL = os.environ["BENCH_URL"]
app = Celery("bench", broker=URL)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)
tally = Tally()
client = Redis.from_url(URL)


@app.task(name="noop")
def noop(number: int, text: str) -> None:
    tally.hit()


@app.task(name="probe")
def probe() -> None:
    tally.probe()


async def enqueue(number: int) -> None:
    noop.delay(number, "text")


async def ask() -> None:
    probe.delay()


async def left() -> int:
    """In the list: not taken. In the hash: not acknowledged."""
    return int(client.llen("celery")) + int(client.hlen("unacked"))


OPTIONS = ["--pool", "solo", "--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]

side = Side(
    worker=["celery", "-A", "bench.side_celery", "worker", *OPTIONS],
    facts={"concurrency": "the pool solo", "batch": "prefetch 128", "keeps": "nothing"},
    enqueue=enqueue,
    probe=ask,
    left=left,
)

if __name__ == "__main__":
    main(side)
