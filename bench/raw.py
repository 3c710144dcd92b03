"""The store's own plans, one after the other on a bare connection: what is left of Stoker without its worker.

The same statements in the same batches, the arguments decoded, nothing run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench.side import server_seconds
from stoker.clock import SECOND, IdSource
from stoker.job import NewJob, Outcome, Verdict
from stoker.plan import Plan, Reply, Statement, pump
from stoker.store import Routing, Store, Want, Worker

BATCH = 500
BULK = 1000
WEEK = 7 * 86_400 * SECOND
WORKER = Worker(id="raw", host="", pid=0, version="", concurrency=BATCH)

Facts = dict[str, Any]


class Raw:
    """A store and what executes one of its statements."""

    def __init__(self, client: str, store: Store, execute: Callable[[Statement], Reply]) -> None:
        self._client = client
        self._store = store
        self._execute = execute
        self._ids = IdSource()
        self._run(store.migrate())

    def _run(self, plan: Plan[Any]) -> Any:
        return pump(plan, self._execute)

    def drain(self, jobs: int) -> Facts:
        self._fill(jobs, BULK)
        self._run(self._store.register(WORKER, 3600 * SECOND))
        decode = msgspec.json.Decoder(tuple[tuple[int, str], dict[str, Any]]).decode
        routing = Routing(frozenset({"noop"}))
        wants = [Want(None, BATCH)]
        outcomes: list[Outcome] = []
        done = 0
        server, client, began = server_seconds(), time.process_time(), time.perf_counter()
        while True:
            exchanged = self._run(self._store.exchange(WORKER.id, outcomes, wants, routing, BATCH))
            done += len(outcomes)
            if not exchanged.claims:
                break
            outcomes = []
            for claim in exchanged.claims:
                decode(claim.payload)
                outcomes.append(Outcome(claim.ref, claim.fence, Verdict.COMPLETED, "null"))
        seconds = time.perf_counter() - began
        assert done == jobs, f"{done} of {jobs} jobs were done"
        return {
            "per_second": jobs / seconds,
            "jobs": jobs,
            "server_us": (server_seconds() - server) / jobs * 1e6,
            "client_us": (time.process_time() - client) / jobs * 1e6,
            "batch": BATCH,
            "client": self._client,
            "keeps": "the whole record",
        }

    def enqueue_one(self, jobs: int) -> Facts:
        return {"per_second": jobs / self._fill(jobs, 1), "batch": 1}

    def enqueue_bulk(self, jobs: int) -> Facts:
        return {"per_second": jobs / self._fill(jobs, BULK), "batch": BULK}

    def _fill(self, jobs: int, batch: int) -> float:
        encode = msgspec.json.encode
        began = time.perf_counter()
        for start in range(0, jobs, batch):
            self._run(
                self._store.insert(
                    [
                        NewJob(id=id, task="noop", payload=encode([[start, "text"], {}]).decode(), keep_for=WEEK)
                        for id in self._ids.take(batch)
                    ]
                )
            )
        return time.perf_counter() - began


def main(raw: Raw) -> None:
    """Do what the command line says and print the facts as JSON."""
    verb, arguments = sys.argv[1], [json.loads(argument) for argument in sys.argv[2:]]
    print(json.dumps(getattr(raw, verb)(*arguments)), flush=True)
