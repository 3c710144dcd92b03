"""taskiq on Redis, as a peer: one worker process, 100 tasks at once, as it comes.

BENCH_VARIANT: `list` (taken with BRPOP, not acknowledged), `stream` (acknowledged), `stream, results` (kept for a day).
"""

import os

from redis.asyncio import Redis
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from bench.side import Side, main
from bench.tally import Tally

URL, VARIANT = os.environ["BENCH_URL"], os.environ["BENCH_VARIANT"]
QUEUE = "taskiq"
DAY = 86_400
KEEPS = {"list": "nothing, takes at most once", "stream": "nothing", "stream, results": "the result"}

broker = ListQueueBroker(URL) if VARIANT == "list" else RedisStreamBroker(URL, consumer_id="0")
if VARIANT == "stream, results":
    broker = broker.with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=DAY))
tally = Tally()
client = Redis.from_url(URL)


@broker.task(task_name="noop")
async def noop(number: int, text: str) -> None:
    tally.hit()


@broker.task(task_name="probe")
async def probe() -> None:
    tally.probe()


async def left() -> int:
    """In the list: not taken. In the stream: not acknowledged."""
    if VARIANT == "list":
        return await client.llen(QUEUE)
    group = (await client.xinfo_groups(QUEUE))[0]
    return group["pending"] + (group["lag"] or 0)


side = Side(
    worker=["taskiq", "worker", "bench.side_taskiq:broker", "--workers", "1", "--log-level", "WARNING"],
    facts={"concurrency": "100 at once", "batch": 1 if VARIANT == "list" else 100, "keeps": KEEPS[VARIANT]},
    enqueue=lambda number: noop.kiq(number, "text"),
    probe=lambda: probe.kiq(),
    left=left,
    together=True,
    begin=broker.startup,
    end=broker.shutdown,
)

if __name__ == "__main__":
    main(side)
