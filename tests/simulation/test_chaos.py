"""Workers in a world where replies get lost, stores refuse, processes stand still and nobody gives a hint.

The promises are in `conftest`: they are checked at every step, and at the end every job has ended, once.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

rates = st.sampled_from([0.0, 0.0, 0.05, 0.3])


def end_calmly(simulation: Any, world: Any) -> None:
    """No more faults; the workers stop, and one that drains finds whatever they left."""
    world.faults.lost = world.faults.refused = world.faults.deaf = 0
    world.run(60)
    for worker in world.workers:
        worker.stop(grace=1)
    world.run(600, until=lambda: all(worker.ended for worker in world.workers))
    assert all(worker.ended for worker in world.workers), "a worker does not end"
    world.run(simulation.LEASE * 2)
    last = simulation.Worker(world, 50, drain=True)
    world.run(3600, until=lambda: last.ended)
    if any(job.state == "scheduled" for job in world.jobs().values()):
        world.run(5)
        last = simulation.Worker(world, 50)
        world.run(60)
    world.check_the_end()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    workers=st.integers(1, 4),
    capacity=st.integers(1, 6),
    hints=st.booleans(),
    lost=rates,
    refused=rates,
    deaf=rates,
    poison=rates,
    stalls=st.integers(0, 4),
    quiets=st.integers(0, 4),
    queues=st.sampled_from([None, {"a": None, "b": 1}, {"a": 2, "b": 2}]),
    longest=st.sampled_from([0.01, 1.0, 20.0]),
    stubborn=st.sampled_from([0.0, 0.7]),
)
def test_every_job_ends_once_whatever_happens(
    simulation: Any,
    seed: int,
    workers: int,
    capacity: int,
    hints: bool,
    lost: float,
    refused: float,
    deaf: float,
    poison: float,
    stalls: int,
    quiets: int,
    queues: Any,
    longest: float,
    stubborn: float,
) -> None:
    faults = simulation.Faults(lost=lost, refused=refused, deaf=deaf, poison=poison)
    world = simulation.World(seed, faults, hints=hints)
    world.longest = longest
    for _ in range(workers):
        simulation.Worker(world, capacity, queues).stubborn = stubborn
    for _ in range(stalls):
        worker = world.random.choice(world.workers)
        world.at(world.random.uniform(0, 40), lambda worker=worker: worker.stall(world.random.uniform(1, 40)))
    for _ in range(quiets):
        worker, at = world.random.choice(world.workers), world.random.uniform(0, 40)
        world.at(at, worker.quieten)
        world.at(at + world.random.uniform(0, 20), worker.wake)
    for _ in range(3):
        world.insert(
            12,
            queue=lambda number: "ab"[number % 2],
            priority=lambda _: world.random.randint(-2, 2),
            delay=lambda number: 3_000_000 if number % 5 == 0 else 0,
        )
        world.run(15)
    world.run(60)
    world.longest = 1.0
    end_calmly(simulation, world)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    grace=st.sampled_from([0.0, 0.5, 10.0]),
    stubborn=st.sampled_from([0.0, 0.5, 1.0]),
    longest=st.sampled_from([0.005, 5.0]),
)
def test_a_stopped_worker_leaves_nothing_behind(
    simulation: Any, seed: int, grace: float, stubborn: float, longest: float
) -> None:
    world = simulation.World(seed)
    world.longest = longest
    worker = simulation.Worker(world, 5)
    worker.stubborn = stubborn
    world.insert(300)
    world.run(world.random.uniform(0.05, 0.3))
    worker.stop(grace)
    stopped_at = world.now
    world.run(100, until=lambda: worker.ended)
    assert worker.ended
    assert world.now - stopped_at <= grace + 6  # ABANDONED_AFTER, and a last exchange
    assert all(job.state != "processing" for job in world.jobs().values())
    assert all(job.crashes == 0 for job in world.jobs().values())
    world.longest = 1.0
    end_calmly(simulation, world)


def test_a_second_order_to_stop_ends_the_grace(simulation: Any) -> None:
    world = simulation.World()
    world.longest = 1000.0
    worker = simulation.Worker(world, 5)
    world.insert(5)
    world.run(1)
    worker.stop(3600)
    world.run(10)
    assert not worker.ended
    worker.stop(0)
    world.run(10)
    assert worker.ended
    assert all(job.state in {"queued", "completed", "scheduled", "failed"} for job in world.jobs().values())


def test_a_worker_that_drains_does_not_end_early(simulation: Any) -> None:
    for seed in range(10):
        world = simulation.World(seed, simulation.Faults(refused=0.2))
        world.insert(100)
        worker = simulation.Worker(world, 7, drain=True)
        world.run(3600, until=lambda worker=worker: worker.ended)
        assert {job.state for job in world.jobs().values()} <= {"completed", "failed", "scheduled"}


def test_a_worker_that_drains_and_loses_its_lease_does_not_end_early(simulation: Any) -> None:
    for seed in range(10):
        world = simulation.World(seed)
        world.longest = 0.01
        world.insert(300)
        worker = simulation.Worker(world, 2, drain=True)
        world.at(0.2, lambda worker=worker: worker.stall(40))
        world.run(3600, until=lambda worker=worker: worker.ended)
        assert "queued" not in {job.state for job in world.jobs().values()}


@pytest.mark.parametrize("hints", [True, False])
def test_an_idle_worker_sleeps(simulation: Any, hints: bool) -> None:
    world = simulation.World(hints=hints)
    worker = simulation.Worker(world, 5)
    world.insert(20)
    world.run(60)
    turns, exchanges = worker.turns, world.exchanges
    world.run(1000)
    assert world.exchanges - exchanges <= 1010
    assert worker.turns - turns <= 4000


def test_a_hint_saves_the_wait_for_the_next_poll(simulation: Any) -> None:
    world = simulation.World()
    simulation.Worker(world, 5)
    world.run(10.5)
    [id] = world.insert(1)
    world.run(0.1)
    assert world.jobs()[id].started_at is not None


def test_without_hints_a_job_starts_within_a_poll(simulation: Any) -> None:
    world = simulation.World(hints=False)
    simulation.Worker(world, 5)
    world.run(10.5)
    [id] = world.insert(1)
    world.run(1.2)
    assert world.jobs()[id].started_at is not None


def test_a_due_job_starts_when_it_is_due(simulation: Any) -> None:
    world = simulation.World(hints=False)
    simulation.Worker(world, 5)
    [id] = world.insert(1, delay=5_500_000)
    world.run(5.4)
    assert world.jobs()[id].started_at is None
    world.run(0.2)
    assert world.jobs()[id].started_at is not None


def test_a_busy_worker_uses_its_whole_capacity(simulation: Any) -> None:
    world = simulation.World()
    worker = simulation.Worker(world, 8)
    world.insert(200)
    world.run(5)
    assert worker.most == 8


@pytest.mark.parametrize(("capacity", "queues"), [(1, None), (5, {"narrow": 1})])
def test_jobs_that_were_lost_and_still_run_count(simulation: Any, capacity: int, queues: Any) -> None:
    for seed in range(10):
        world = simulation.World(seed)
        world.longest = 1000.0
        worker = simulation.Worker(world, capacity, queues)
        worker.stubborn = 1.0
        world.insert(3, queue="narrow")
        world.run(1)
        [first] = worker.executing.values()
        worker.stall(40)
        world.run(60)
        assert worker.id is not None
        if first in worker.executing.values():
            assert len(worker.executing) == 1
