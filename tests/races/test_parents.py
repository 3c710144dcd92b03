"""Parents that end at the same moment, in as many processes: whoever waits for them is released, once."""

from __future__ import annotations

from collections import Counter

from faults.support import World
from races.racing import RACERS
from races.test_races import said
from stoker.job import State

ROUNDS = 40

CLAIMED = """
def claimed(store, driver, name, task, count):
    driver.run(store.register(introduced(name), to_span(600)))
    routing = Routing(frozenset({task}))
    claims = []
    while len(claims) < count:
        claims += driver.run(store.exchange(name, (), [Want(None, count)], routing, count)).claims
    return sorted(claims, key=lambda claim: claim.id)

def settle(store, driver, name, claim, verdict=Verdict.COMPLETED):
    result = "1" if verdict is Verdict.COMPLETED else None
    outcome = Outcome(claim.ref, claim.fence, verdict, result)
    assert not driver.run(store.exchange(name, [outcome])).refused

def end_all(store, driver, count):
    mine = claimed(store, driver, "w0", "p0", count)
    with open("ids.part", "w") as file:
        json.dump([claim.id for claim in mine], file)
    os.rename("ids.part", "ids")
    for claim in mine:
        settle(store, driver, "w0", claim)
"""


def parents(world: World, tasks: list[str]) -> list[list[str]]:
    """For each round, a job of each of these tasks."""
    return [[world.enqueue(task) for task in tasks] for _ in range(ROUNDS)]


def test_parents_that_end_at_once_release_their_child(world: World):
    tasks = [f"p{n}" for n in range(6)]
    children = [world.enqueue("child", parents=tuple(made)) for made in parents(world, tasks)]
    code = f"""
def racer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        mine = claimed(store, driver, f"w{{n}}", f"p{{n}}", {ROUNDS})
        open(f"ready{{n}}", "w").close()
        for other in range(6):
            wait_for(f"ready{{other}}")
        for claim in mine:
            settle(store, driver, f"w{{n}}", claim)
race(racer, 6)
"""
    world.run(RACERS + CLAIMED + code)
    jobs = world.jobs()
    assert Counter(jobs[id].state for id in children) == {State.QUEUED: ROUNDS}
    assert all(jobs[id].open_parents == () for id in children)


def test_a_good_and_a_bad_end_at_once_cancel_their_child(world: World):
    made = parents(world, ["p0", "p1"])
    children = [world.enqueue("child", parents=tuple(pair)) for pair in made]
    last = [world.enqueue("child", parents=(child,)) for child in children]
    code = f"""
def racer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        mine = claimed(store, driver, f"w{{n}}", f"p{{n}}", {ROUNDS})
        open(f"ready{{n}}", "w").close()
        for other in range(2):
            wait_for(f"ready{{other}}")
        for claim in mine:
            settle(store, driver, f"w{{n}}", claim, Verdict.FAILED if n else Verdict.COMPLETED)
race(racer, 2)
"""
    world.run(RACERS + CLAIMED + code)
    jobs = world.jobs()
    assert Counter(jobs[id].state for id in [*children, *last]) == {State.CANCELLED: 2 * ROUNDS}


def test_a_child_that_comes_while_its_parent_ends_is_not_forgotten(world: World):
    parents(world, ["p0"])
    code = f"""
def racer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        if n == 0:
            return end_all(store, driver, {ROUNDS})
        wait_for("ids")
        new_id = IdSource()
        for parent in json.load(open("ids")):
            job = NewJob(id=new_id(), task="child", payload="[[],{{}}]", keep_for=10**10, parents=(parent,))
            driver.run(store.insert([job]))
race(racer, 4)
"""
    world.run(RACERS + CLAIMED + code)
    children = [job for job in world.jobs().values() if job.task == "child"]
    assert len(children) == 3 * ROUNDS
    assert {job.state for job in children} == {State.QUEUED}


def test_a_job_that_ends_while_it_is_extended_leaves_nobody_behind(world: World):
    made = parents(world, ["p0"])
    children = [world.enqueue("child", parents=(id,)) for [id] in made]
    code = f"""
def racer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        if n == 0:
            return end_all(store, driver, {ROUNDS})
        wait_for("ids")
        new_id = IdSource()
        for extended in json.load(open("ids")):
            job = NewJob(id=new_id(), task="more", payload="[[],{{}}]", keep_for=10**10, extends=extended)
            [answer] = driver.run(store.insert([job]))
            say([extended, answer.id])
race(racer, 3)
"""
    added: dict[str, set[str]] = {id: set() for [id] in made}
    for extended, id in said(world, CLAIMED + code):
        if id:
            added[extended].add(id)
    jobs = world.jobs()
    for [parent], child in zip(made, children, strict=True):
        assert set(jobs[child].open_parents) == added[parent]
        assert jobs[child].state is (State.WAITING if added[parent] else State.QUEUED)
