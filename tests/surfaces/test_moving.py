"""`stoker jobs dump | stoker jobs import` moves a system from one store to another, and back."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

import places
from stoker.clock import IdSource
from stoker.connect import connect
from stoker.job import LIVE, Failure, Job, NewJob, Outcome, ParentFailure, Progress, State, Verdict
from stoker.store import Action, Change, Filter, Page, Routing, Want, Worker

HOUR = 3_600_000_000
TASKS = frozenset({"shop.resize", "shop.mail"})


def records(url: str) -> list[Job]:
    store, driver = connect(url)
    try:
        return driver.run(store.find(page=Page(limit=1_000_000)))
    finally:
        driver.close()


def fill(url: str, count: int) -> None:
    """Jobs of all kinds, in all states, with everything that a record may have."""
    store, driver = connect(url)
    chance, ids = random.Random(7), IdSource().take(count)
    driver.run(store.migrate())
    jobs = [
        NewJob(
            id=id,
            task=chance.choice(sorted(TASKS)),
            payload='[["café \\u0000 🚀",{"n":[1.5,null,12345678901234567]}],{}]',
            queue=chance.choice(["default", "mail", "ünïcode"]),
            priority=chance.randint(-100, 100),
            delay=24 * HOUR if id == ids[0] else chance.choice([0, 0, 0, HOUR]),
            max_attempts=3,
            keep_for=chance.choice([HOUR, 24 * HOUR]),
            owner=chance.choice([None, "u1", "u'2"]),
            key=f"key-{id}" if chance.random() < 0.2 else None,
            tags=tuple(chance.sample(["a", "b", "c"], chance.randint(0, 2))),
            meta='{"trace":"x"}' if chance.random() < 0.3 else None,
            parents=(ids[0],) if id != ids[0] and chance.random() < 0.02 else (),
            on_parent_failure=chance.choice(list(ParentFailure)),
            workflow="flow" if chance.random() < 0.1 else None,
            share=chance.choice([None, "s1"]),
        )
        for id in ids
    ]
    for start in range(0, count, 1000):
        driver.run(store.insert(jobs[start : start + 1000]))
    driver.run(store.register(Worker(id="w", host="h", pid=1, version="0", concurrency=9), HOUR))
    for _ in range(count * 6 // 10 // 200):
        reply = driver.run(store.exchange("w", (), [Want(None, 200)], Routing(TASKS), 200))
        reports = [Progress(c.ref, c.fence, 0.5, "half", '{"at":3}') for c in reply.claims if chance.random() < 0.2]
        driver.run(store.heartbeat("w", reports))
        outcomes = []
        for claim in reply.claims:
            verdict = chance.choice([*Verdict, None])
            if verdict is None or verdict is Verdict.CRASHED:
                continue
            failure = Failure(
                attempt=claim.attempt, type="builtins.ValueError", message="no <b>luck</b>", traceback="…"
            )
            wrong = verdict in (Verdict.FAILED, Verdict.RETRY)
            outcomes.append(
                Outcome(
                    claim.ref,
                    claim.fence,
                    verdict,
                    result='{"r":[]}' if verdict is Verdict.COMPLETED else None,
                    delay=chance.choice([0, HOUR]),
                    failure=failure if wrong else None,
                    reason="not wanted" if verdict is Verdict.CANCELLED else None,
                )
            )
        assert not driver.run(store.exchange("w", outcomes)).refused
    held = [job.id for job in driver.run(store.find(Filter(states=(State.PROCESSING,)), Page(limit=20)))]
    driver.run(store.amend(Filter(ids=tuple(held)), Change(Action.CANCEL, reason="enough")))
    driver.close()


def move(source: str, target: str, folder: Path) -> int:
    """What a person types."""
    command = [sys.executable, "-m", "stoker", "jobs"]
    dumping = subprocess.Popen([*command, "dump", "-", "--url", source], cwd=folder, stdout=subprocess.PIPE)
    done = subprocess.run(
        [*command, "import", "-", "--url", target, "--json"],
        cwd=folder,
        stdin=dumping.stdout,
        capture_output=True,
        timeout=300,
        check=True,
    )
    assert dumping.stdout is not None
    dumping.stdout.close()
    assert dumping.wait(60) == 0
    return int(json.loads(done.stdout)["changed"])


def order_of_claims(url: str) -> list[str]:
    """The ids of all queued jobs as a worker gets them."""
    store, driver = connect(url)
    found: list[str] = []
    try:
        driver.run(store.register(Worker(id="last", host="h", pid=1, version="0", concurrency=9), HOUR))
        while claims := driver.run(store.exchange("last", (), [Want("mail", 500)], Routing(TASKS), 500)).claims:
            found += [claim.id for claim in claims]
    finally:
        driver.close()
    return found


@pytest.mark.parametrize("stops", [("sqlite-normal", "postgres", "redis", "sqlite-normal")], ids="-".join)
def test_ten_thousand_jobs_in_all_states_go_round_every_store(stops, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("STOKER_URL", "STOKER_APP", "STOKER_MODE"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:
        urls = []
        for number, stop in enumerate(stops):
            folder = tmp_path / str(number)
            folder.mkdir()
            urls.append(stack.enter_context(places.fresh(stop, folder)))
        fill(urls[0], 10_000)
        before = records(urls[0])
        assert len(before) == 10_000
        states = Counter(job.state for job in before)
        assert set(states) == set(State), states
        assert {job.state for job in before if job.key is not None} >= LIVE
        for source, target in pairwise(urls):
            assert move(source, target, tmp_path) == 10_000
            assert records(target) == before, target
            assert move(source, target, tmp_path) == 0, "what is there is skipped"
        orders = [order_of_claims(url) for url in urls]
        assert len(orders[0]) > 500
        assert all(order == orders[0] for order in orders)
