"""Ends and beginnings that meet: a child whose parents end at once, and one that comes as its parent ends, goes on."""

from __future__ import annotations

import json

import pytest

from faults.support import World
from races.racing import RACERS
from stoker.job import State


def said(world: World, code: str):
    return [json.loads(line) for line in world.run(RACERS + code).splitlines()]


@pytest.mark.parametrize("how", ["COMPLETED", "FAILED"])
def test_parents_that_end_at_once_release_their_child_once(world: World, how: str):
    """Six processes end the six parents of each of 80 children, one after the other and all at the same time."""
    code = f"""
from stoker.job import Failure, ParentFailure
HOW = Verdict.{how}

def prepare():
    new_id = IdSource()
    with Stoker() as app:
        store, driver = app.engine.open()
        for _ in range(80):
            parents = [NewJob(id=new_id(), task=f"p{{n}}", payload="[[],{{}}]", keep_for=10**12) for n in range(6)]
            ids = tuple(parent.id for parent in parents)
            child = NewJob(id=new_id(), task="child", payload="[[],{{}}]", keep_for=10**12, parents=ids,
                           on_parent_failure=ParentFailure.RUN)
            driver.run(store.insert([*parents, child]))

def racer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        driver.run(store.register(introduced(f"w{{n}}"), to_span(600)))
        routing = Routing(frozenset({{f"p{{n}}"}}))
        claims = driver.run(store.exchange(f"w{{n}}", (), [Want(None, 80)], routing, 80)).claims
        assert len(claims) == 80
        failure = Failure(attempt=1, type="E", message="no")
        wait_for("go")
        for claim in claims:
            outcome = Outcome(claim.ref, claim.fence, HOW, result="1" if HOW is Verdict.COMPLETED else None,
                              failure=None if HOW is Verdict.COMPLETED else failure)
            assert not driver.run(store.exchange(f"w{{n}}", [outcome])).refused
        say(n)

prepare()
race(racer, 6)
"""
    assert sorted(said(world, code)) == list(range(6))
    children = [job for job in world.jobs().values() if job.task == "child"]
    assert len(children) == 80
    assert {(job.state, job.open_parents) for job in children} == {(State.QUEUED, ())}


def test_a_child_that_comes_as_its_parent_ends_does_not_wait_for_ever(world: World):
    """One process ends 150 parents, while four others insert a child of each and extend it."""
    code = """
def prepare():
    new_id = IdSource()
    with Stoker() as app:
        store, driver = app.engine.open()
        made = [NewJob(id=new_id(), task="parent", payload="[[],{}]", keep_for=10**12) for _ in range(150)]
        driver.run(store.insert(made))
        return [job.id for job in made]

PARENTS = prepare()

def ends(store, driver):
    driver.run(store.register(introduced("w"), to_span(600)))
    claims = driver.run(store.exchange("w", (), [Want(None, 150)], Routing(frozenset({"parent"})), 150)).claims
    assert [claim.id for claim in claims] == PARENTS
    open("go-on", "w").close()
    for claim in claims:
        assert not driver.run(store.exchange("w", [Outcome(claim.ref, claim.fence, Verdict.COMPLETED, "1")])).refused

def begins(store, driver):
    new_id = IdSource()
    wait_for("go-on")
    for parent in PARENTS:
        child = NewJob(id=new_id(), task="child", payload="[[],{}]", keep_for=10**12, parents=(parent,))
        more = NewJob(id=new_id(), task="more", payload="[[],{}]", keep_for=10**12, extends=parent)
        driver.run(store.insert([child]))
        [answer] = driver.run(store.insert([more]))
        say([child.id, more.id if answer.created else None])

def racer(n):
    with Stoker() as app:
        store, driver = app.engine.open()
        wait_for("go")
        (begins if n else ends)(store, driver)

race(racer, 5)
"""
    made = dict(said(world, code))
    jobs = world.jobs()
    assert len(made) == 600
    extensions = {more for more in made.values() if more is not None}
    assert {job.id for job in jobs.values() if job.task == "more"} == extensions
    for child in made:
        job = jobs[child]
        assert set(job.open_parents) <= extensions  # of parents that have ended, nobody is waited for
        assert job.state is (State.WAITING if job.open_parents else State.QUEUED)
