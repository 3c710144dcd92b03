"""Dramatiq on Redis, as a peer: one process of 8 threads, as it comes. It acknowledges, and keeps no record."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from bench.side import Side, main
from bench.tally import Tally

URL = os.environ["BENCH_URL"]
broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)
tally = Tally()
client = Redis.from_url(URL)


@dramatiq.actor(actor_name="noop")
def noop(number: int, text: str) -> None:
    tally.hit()


@dramatiq.actor(actor_name="probe")
def probe() -> None:
    tally.probe()


async def enqueue(number: int) -> None:
    noop.send(number, "text")


async def ask() -> None:
    probe.send()


async def left() -> int:
    """Messages are kept in a hash until they are acknowledged."""
    return int(client.hlen("dramatiq:default.msgs"))


side = Side(
    worker=["dramatiq", "bench.side_dramatiq", "--processes", "1"],
    facts={"concurrency": "8 threads", "batch": "prefetch 16", "keeps": "nothing"},
    enqueue=enqueue,
    probe=ask,
    left=left,
)

if __name__ == "__main__":
    main(side)
