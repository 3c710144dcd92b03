"""Limits over many processes: they hold at every instant, free themselves after a crash, and block nobody else."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Iterable

from faults.history import Run
from faults.support import World, until
from stoker.job import Limit
from stoker.store import QueueLimit

MINUTE = 60_000_000


def most_at_once(runs: Iterable[Run]) -> int:
    """How many of these runs there were at the same time, at most. One that ends as another starts is over."""
    moves = sorted(move for run in runs for move in ((run.started, 1), (run.ended, -1)))
    now = most = 0
    for _, step in moves:
        now += step
        most = max(most, now)
    return most


def finish(world: World, processes: int, patience: float = 180) -> None:
    """Have that many worker processes do everything."""
    world.start_worker(processes=processes, concurrency=8, lease=20.0)
    until(world.all_final, "every job ends", patience)
    assert world.counts() == {"completed": len(world.enqueued)}


def test_a_limit_holds_at_every_instant_over_16_processes(world: World):
    limit = Limit("three", concurrency=3)
    limited = [world.enqueue("quick", 0.005, limit=limit) for _ in range(150)]
    free = [world.enqueue("quick", 0.005) for _ in range(150)]
    finish(world, 16)
    world.check()
    by_job = defaultdict(list)
    for run in world.history.runs():
        by_job[run.job].append(run)
    most = most_at_once(run for id in limited for run in by_job[id])
    assert 2 <= most <= 3  # it held, and it was reached
    assert most_at_once(run for id in free for run in by_job[id]) > 3


def test_a_thousand_keys_at_once(world: World):
    keys = {}
    for key in range(1000):
        for _ in range(2):
            keys[world.enqueue("quick", limit=Limit(f"k{key}", concurrency=1))] = key
    finish(world, 4)
    world.check()
    by_key = defaultdict(list)
    for run in world.history.runs():
        by_key[keys[run.job]].append(run)
    assert len(by_key) == 1000
    assert all(most_at_once(runs) == 1 for runs in by_key.values())


def test_a_crash_frees_its_place(world: World):
    gate = world.gate()
    limit = Limit("one", concurrency=1)
    first = world.enqueue("hold", gate, limit=limit)
    second = world.enqueue("quick", limit=limit)
    victim = world.start_worker()
    world.starts(first)
    victim.kill()
    world.lapse(victim.pid)
    assert world.job(second).attempt == 0
    world.open(gate)
    world.start_worker()
    world.ends(second)
    world.check()
    assert most_at_once(world.history.runs()) == 1


def test_a_rate_holds_over_8_processes(world: World):
    limit = Limit("slow", rate=20, period=MINUTE)
    world.enqueue("quick", times=60, limit=limit)
    other = world.enqueue("quick", times=40)
    world.start_worker(processes=8, lease=20.0)
    until(lambda: world.counts().get("completed", 0) >= 60, "what may run does")
    assert other
    began = Counter(event.job for event in world.history.of("started"))
    ids = set(world.enqueued[:60])
    runs = [run.started for run in world.history.runs() if run.job in ids]
    # The bucket's 20, and those that came in since the first began: one every three seconds, and one for the slack.
    span = max(runs) - min(runs)
    assert 20 <= len(runs) <= 21 + span / 3
    assert set(began.values()) == {1}


def test_a_queues_limit_holds_over_8_processes(world: World):
    store = world.app.engine.open().store
    world.app.engine.run(store.limit("narrow", QueueLimit(concurrency=2)))
    world.enqueue("quick", 0.005, times=80, queue="narrow")
    finish(world, 8)
    world.check()
    assert most_at_once(world.history.runs()) <= 2


def test_a_limit_outlives_repeated_sigkill(world: World):
    limit = Limit("two", concurrency=2)
    world.enqueue("quick", 0.02, times=60, limit=limit)
    for _ in range(6):
        worker = world.start_worker()
        done = len(world.history.of("ended"))
        until(lambda done=done: len(world.history.of("ended")) >= min(60, done + 4), "some are done")
        worker.kill()
        world.lapse(worker.pid)
    worker = world.start_worker()
    until(world.all_final, "every job ends")
    worker.signal(signal.SIGTERM)
    world.check()
    assert world.counts() == {"completed": 60}
    assert most_at_once(world.history.runs()) <= 2
