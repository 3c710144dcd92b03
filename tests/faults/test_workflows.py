"""Workflows whose workers are killed again and again: each step after its parents, each callback once, none hangs."""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from typing import Any

from faults.support import World, until
from stoker.clock import IdSource
from stoker.job import NewJob, ParentFailure, State

KILLS = 34


class Flow:
    """A workflow of `faults.jobs`, built by hand: what it is made of, and what must come of it."""

    def __init__(self, world: World, chance: random.Random, size: int) -> None:
        self.world = world
        self.new_id = IdSource()
        self.id = self.new_id()
        self.jobs: list[NewJob] = []
        steps: list[str] = []
        for _ in range(size):
            parents = chance.sample(steps, min(len(steps), chance.randint(0, 3)))
            steps.append(self.add("quick", 0.002, parents=tuple(parents)))
        self.callback = self.add("quick", parents=tuple(steps))
        self.alarm = self.add("quick", parents=tuple(steps), on_parent_failure=ParentFailure.ONLY)
        self.always = self.add("quick", parents=tuple(steps), on_parent_failure=ParentFailure.RUN)

    def add(self, task: str, *args: Any, **facts: Any) -> str:
        payload = json.dumps([list(args), {}])
        forever = {"keep_for": 3600_000_000, "max_crashes": 100_000, "workflow": self.id}
        self.jobs.append(NewJob(id=self.new_id(), task=task, payload=payload, **forever | facts))
        return self.jobs[-1].id

    def enqueue(self) -> None:
        engine = self.world.app.engine
        engine.run(engine.open().store.insert(self.jobs))
        self.world.enqueued += [job.id for job in self.jobs]

    def check(self) -> None:
        """Each step ran after the runs of all its parents had ended, and what was called back ran to its end once."""
        ends: dict[str, float] = {}
        for run in self.world.history.runs():
            if run.how == "returned":
                ends.setdefault(run.job, run.ended)
        starts = {run.job: run.started for run in reversed(self.world.history.runs())}
        for job in self.jobs:
            for parent in job.parents:
                assert job.id == self.alarm or starts[job.id] >= ends[parent]
        settled = Counter(self.world.job(id).state for id in (self.callback, self.always))
        assert settled == {State.COMPLETED: 2}
        assert self.world.job(self.alarm).state is State.CANCELLED
        assert self.alarm not in starts


def test_a_workflow_outlives_kills_again_and_again(world: World):
    """SIGKILL at whatever instant, a hundred times over all stores; there is always a workflow that is running."""
    chance = random.Random(11)
    flows: list[Flow] = []
    workers = deque(world.start_worker(lease=20.0, ready=False) for _ in range(3))
    for _ in range(KILLS):
        if world.all_final():
            flows.append(Flow(world, chance, 60))
            flows[-1].enqueue()
        before = len(world.history.of("started"))
        until(lambda before=before: len(world.history.of("started")) > before or world.all_final(), "something starts")
        victim = workers.popleft()
        victim.kill()
        world.lapse(victim.pid)  # the others keep theirs, however busy the machine is
        workers.append(world.start_worker(lease=20.0, ready=False))
    until(world.all_final, "every job ends", 120)
    world.check()
    assert flows
    for flow in flows:
        flow.check()


def test_a_failure_reaches_all_that_wait_though_its_worker_is_killed(world: World):
    flow = Flow(world, random.Random(5), 10)
    bad = flow.add("fail")
    chain = [bad]
    for _ in range(50):
        chain.append(flow.add("quick", parents=(chain[-1],)))
    alarm = flow.add("quick", parents=tuple(chain), on_parent_failure=ParentFailure.ONLY)
    flow.enqueue()
    fault = {"plan": "exchange", "when": "after", "having": "outcomes", "nth": 2}
    victim = world.start_worker(fault=fault, ready=False)
    victim.wait()
    world.lapse(victim.pid)
    world.start_worker()
    until(world.all_final, "every job ends")
    states = [world.job(id).state for id in chain]
    assert states == [State.FAILED] + [State.CANCELLED] * 50
    assert world.job(alarm).state is State.COMPLETED
    assert len(world.history.runs(alarm)) == 1
    world.check()
