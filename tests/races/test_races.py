"""Many processes want the same thing at once; one of them gets it."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from faults.support import World, both_settings, until
from races.racing import RACERS
from stoker.job import State


def said(world: World, code: str):
    return [json.loads(line) for line in world.run(RACERS + code).splitlines()]


@both_settings
def test_eight_claimers_start_each_job_once(world: World):
    """Each of 3,000 jobs is claimed by one of eight processes, and settled by it."""
    first = world.enqueue("quick", times=3000)
    code = """
def claimer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        driver.run(store.register(introduced(f"claimer-{n}"), to_span(600)))
        routing = Routing(frozenset({"quick"}))
        wait_for("go")
        outcomes, idle = [], 0
        while outcomes or idle < 3:
            reply = driver.run(store.exchange(f"claimer-{n}", outcomes, [Want(None, 7)], routing, 7, n))
            assert not reply.refused, reply
            for claim in reply.claims:
                say([n, claim.id, claim.ref, claim.fence, claim.attempt])
            idle = 0 if reply.claims else idle + 1
            outcomes = [Outcome(claim.ref, claim.fence, Verdict.COMPLETED, "null") for claim in reply.claims]
race(claimer, 8)
"""
    claims = said(world, code)
    assert len(claims) == 3000
    assert {id for _, id, _, _, _ in claims} == set(world.enqueued)
    assert all((fence, attempt) == (1, 1) for *_, fence, attempt in claims)
    assert len(Counter(n for n, *_ in claims)) > 1  # it was a race
    assert world.counts() == {"completed": 3000}
    assert world.job(first).fence == 1


def test_eight_workers_start_each_job_once(world: World):
    """The same with whole workers, who begin at once when the queue is let go."""
    world.app.queues.pause("default")
    world.enqueue("quick", times=2000)
    world.enqueue("swarm", 3, times=500)
    workers = [world.start_worker(ready=False, drain=False, lease=30.0) for _ in range(8)]
    until(lambda: len(world.app.workers.list()) == 8, "all of them are there")
    world.app.queues.resume("default")
    until(world.all_final, "every job ends", 120)
    for worker in workers:
        worker.signal(15)
    assert [worker.wait() for worker in workers] == [0] * 8
    jobs = world.check()
    starts = Counter(event.job for event in world.history.of("started"))
    assert starts == dict.fromkeys(world.enqueued, 1)
    assert all((job.state, job.attempt, job.crashes) == (State.COMPLETED, 1, 0) for job in jobs.values())
    assert len({event.pid for event in world.history.of("started")}) > 1


@both_settings
def test_twenty_inserters_of_one_key_make_one_job(world: World):
    code = """
from faults.jobs import quick
def inserter(n):
    wait_for("go")
    for k in range(20):
        handle = quick.using(key=f"key-{k}").enqueue(k)
        say([k, handle.id, handle.created])
race(inserter, 20)
"""
    answers = said(world, code)
    assert len(answers) == 400
    jobs = world.jobs()
    assert len(jobs) == 20
    for k in range(20):
        mine = [(id, created) for key, id, created in answers if key == k]
        assert len(mine) == 20
        assert len({id for id, _ in mine}) == 1
        assert [created for _, created in mine].count(True) == 1
        assert mine[0][0] in jobs


@pytest.mark.parametrize("store", ["sqlite-normal", "postgres", "redis"], indirect=True)
def test_a_heartbeat_at_the_edge_of_the_lease_against_recoverers(world: World):
    """Renewed and kept, or lost and refused: never both, never neither."""
    code = """
def recoverer(app):
    store, driver = app.engine.open()
    while not os.path.exists("done"):
        driver.run(store.recover())

def holder(app):
    store, driver = app.engine.open()
    new_id, chance, kept, lost, rounds = IdSource(), random.Random(5), 0, 0, 0
    lease, early, late = 0.01, 0.0, 2.0  # seconds; and in leases, when the heartbeat comes
    while (kept < 40 or lost < 40) and rounds < 2000:
        rounds += 1
        name = f"holder-{rounds}"
        driver.run(store.insert([NewJob(id=new_id(), task=name, payload="[[],{}]", keep_for=0, max_crashes=10**6)]))
        driver.run(store.register(introduced(name), to_span(lease)))
        began = time.monotonic()
        claims = driver.run(store.exchange(name, (), [Want(None, 1)], Routing(frozenset({name})), 1)).claims
        if not claims:  # so slow that the lease was over before the claim
            lease = min(1.0, lease * 1.5)
            continue
        [claim] = claims
        edge = lease * chance.uniform(early, late)
        while time.monotonic() < began + edge:
            pass
        alive = driver.run(store.heartbeat(name, (), to_span(600))).alive
        driver.run(store.recover())
        settle = store.exchange(name, [Outcome(claim.ref, claim.fence, Verdict.COMPLETED, "1")])
        refused = list(driver.run(settle).refused)
        assert refused == ([] if alive else [claim.ref]), (alive, refused)
        kept, lost = kept + alive, lost + (not alive)
        if alive:
            early = min(early + 0.05, 1.0)  # look for the edge
        else:
            early = max(0.0, early - 0.1)
            if lost > 40 > kept:  # so slow that the lease is over before the heartbeat
                lease = min(1.0, lease * 1.1)
        assert driver.run(store.hear(name)).alive == alive
    say([kept, lost])
    open("done", "w").close()

def racer(n):
    with Stoker() as app:
        wait_for("go")
        holder(app) if n == 0 else recoverer(app)
race(racer, 3)
"""
    [[kept, lost]] = said(world, code)
    assert kept >= 40
    assert lost >= 40


def test_recoverers_at_once_count_one_crash_each(world: World):
    """Four processes recover the jobs of a dead worker; each job comes back once."""
    world.enqueue("quick", times=400, max_crashes=2)
    code = """
def racer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        wait_for("go")
        queued = 0
        for _ in range(20):
            queued += driver.run(store.recover(limit=50)).queued
        say(queued)

with Stoker() as app:
    store, driver = app.engine.open()
    driver.run(store.register(introduced("dead"), to_span(600)))
    claims = []
    while len(claims) < 400:
        claims += driver.run(store.exchange("dead", (), [Want(None, 100)], Routing(frozenset({"quick"})), 100)).claims
    driver.run(store.retire("dead"))
race(racer, 4)
"""
    assert sum(said(world, code)) == 400
    jobs = world.jobs()
    assert {(job.state, job.attempt, job.crashes, job.fence) for job in jobs.values()} == {(State.QUEUED, 1, 1, 1)}


def test_many_migrate_at_once(world: World):
    code = """
def racer(n):
    wait_for("go")
    with Stoker() as app:
        store, driver = app.engine.connection
        say(driver.run(store.migrate()))
race(racer, 12)
"""
    answers = said(world, code)
    assert len(answers) == 12
    assert sum(bool(answer) for answer in answers) == 1
