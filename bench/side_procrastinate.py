"""Procrastinate on PostgreSQL, as a peer: one process, 30 jobs at once, finished jobs kept, as it comes."""

import os
import sys

from procrastinate import App, PsycopgConnector

from bench.side import Side, main
from bench.tally import Tally
from stoker.member import run_loop

CONCURRENCY = 30
app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_URL"], max_size=20))
tally = Tally()


@app.task(name="noop")
async def noop(number: int, text: str) -> None:
    tally.hit()


@app.task(name="probe")
async def probe() -> None:
    tally.probe()


async def begin() -> None:
    await app.open_async()
    await app.schema_manager.apply_schema_async()


async def bulk(numbers: range) -> None:
    await noop.batch_defer_async(*({"number": number, "text": "text"} for number in numbers))


async def left() -> int:
    query = "SELECT count(*) AS total FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    return (await app.connector.execute_query_one_async(query))["total"]


async def serve() -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY)


side = Side(
    worker=["bench.side_procrastinate", "serve"],
    facts={"concurrency": f"{CONCURRENCY} at once", "batch": 1, "client": "psycopg", "keeps": "the job, its events"},
    enqueue=lambda number: noop.defer_async(number=number, text="text"),
    probe=lambda: probe.defer_async(),
    left=left,
    bulk=bulk,
    together=True,
    begin=begin,
    end=app.close_async,
)

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        run_loop(serve())
    else:
        main(side)
