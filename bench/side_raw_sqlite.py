"""The standard library's `sqlite3` doing the same rows in the same batches, with no framework: the measure of overhead.

It uses Stoker's own schema, so that it writes the same rows and indexes, and decodes the same arguments.
"""

import json
import os
import sqlite3
import sys
import time

import msgspec

from stoker.clock import IdSource, now
from stoker.drivers.sqlite import SqliteDriver
from stoker.stores.sqlite import SqliteStore

PATH, SYNCHRONOUS = os.environ["BENCH_PATH"], os.environ["BENCH_SYNCHRONOUS"]
BATCH = 500
DAYS = 7 * 86400 * 1_000_000

INSERT = """
INSERT INTO stoker_jobs (id, task, queue, payload, state, priority, run_at, max_attempts, max_crashes, keep_for,
    created_at, updated_at) VALUES (?, 'noop', 'default', ?, 2, 0, ?, 1, 3, ?, ?, ?)
"""
CLAIM = """
SELECT ref, fence + 1, id, task, payload FROM stoker_jobs WHERE queue = 'default' AND state = 2
ORDER BY priority DESC, run_at, ref LIMIT ?
"""
TAKE = """
UPDATE stoker_jobs SET state = 3, fence = ?, attempt = attempt + 1, worker = 1, started_at = ?,
    updated_at = ? WHERE ref = ?
"""
SETTLE = """
UPDATE stoker_jobs SET state = 4, result = 'null', finished_at = ?, updated_at = ?, expires_at = ? + keep_for
WHERE ref = ? AND fence = ? AND state = 3
"""


def connect() -> sqlite3.Connection:
    driver = SqliteDriver(PATH, synchronous=SYNCHRONOUS)
    driver.run(SqliteStore().migrate())
    driver.close()
    connection = sqlite3.connect(PATH, isolation_level=None, cached_statements=512)
    connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    connection.execute("PRAGMA cache_size = -32000")
    return connection


def rows(ids: IdSource, start: int, count: int) -> list[tuple]:
    at = now()
    payload = msgspec.json.encode
    return [(id, payload([[start, "text"], {}]).decode(), at, DAYS, at, at) for id in ids.take(count)]


def fill(connection: sqlite3.Connection, jobs: int, batch: int) -> float:
    ids = IdSource()
    began = time.perf_counter()
    for start in range(0, jobs, batch):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows(ids, start, batch))
        connection.execute("COMMIT")
    return time.perf_counter() - began


def drain(jobs: int) -> dict:
    connection = connect()
    fill(connection, jobs, 1000)
    decode = msgspec.json.Decoder(tuple[tuple[int, str], dict]).decode
    done: list[tuple] = []
    began = time.perf_counter()
    while True:
        at = now()
        connection.execute("BEGIN IMMEDIATE")
        if done:
            connection.executemany(SETTLE, [(at, at, at, ref, fence) for ref, fence in done])
        claims = connection.execute(CLAIM, (BATCH,)).fetchall()
        connection.executemany(TAKE, [(claim[1], at, at, claim[0]) for claim in claims])
        connection.execute("COMMIT")
        if not claims:
            break
        done = []
        for ref, fence, _, _, payload in claims:
            decode(payload)
            done.append((ref, fence))
    return {"per_second": jobs / (time.perf_counter() - began), "batch": BATCH}


def enqueue_one(jobs: int) -> dict:
    connection = connect()
    return {"per_second": jobs / fill(connection, jobs, 1), "batch": 1}


def enqueue_bulk(jobs: int) -> dict:
    connection = connect()
    return {"per_second": jobs / fill(connection, jobs, 1000), "batch": 1000}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*(json.loads(argument) for argument in sys.argv[2:]))))
