"""PgQueuer on PostgreSQL, as a peer: one process, asyncpg, batches of 500, no limit of tasks at once.

It keeps a line in its log of a finished job and deletes the job.
"""

import json
import os
import sys

import asyncpg
from pgqueuer import AsyncpgPoolDriver, Job, PgQueuer, Queries

from bench.side import Side, main
from bench.tally import Tally
from stoker.member import run_loop

URL = os.environ["BENCH_URL"]
BATCH = 500
tally = Tally()
pool: asyncpg.Pool
queries: Queries


async def begin() -> None:
    global pool, queries
    pool = await connect()
    queries = Queries(AsyncpgPoolDriver(pool))
    await queries.install()


async def connect() -> asyncpg.Pool:
    return await asyncpg.create_pool(URL, min_size=2, max_size=20)


def payload(number: int) -> bytes:
    return json.dumps([number, "text"]).encode()


async def enqueue(number: int) -> None:
    await queries.enqueue("noop", payload(number))


async def bulk(numbers: range) -> None:
    count = len(numbers)
    await queries.enqueue(["noop"] * count, [payload(number) for number in numbers], [0] * count)


async def left() -> int:
    return await pool.fetchval("SELECT count(*) FROM pgqueuer")


async def serve() -> None:
    app = PgQueuer(AsyncpgPoolDriver(await connect()))

    @app.entrypoint("noop")
    async def noop(job: Job) -> None:
        json.loads(job.payload)
        tally.hit()

    @app.entrypoint("probe")
    async def probe(job: Job) -> None:
        tally.probe()

    await app.run(batch_size=BATCH)


side = Side(
    worker=["bench.side_pgqueuer", "serve"],
    facts={"concurrency": "no limit at once", "batch": BATCH, "client": "asyncpg", "keeps": "a line in a log"},
    enqueue=enqueue,
    probe=lambda: queries.enqueue("probe", None),
    left=left,
    bulk=bulk,
    together=True,
    begin=begin,
)

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        run_loop(serve())
    else:
        main(side)
