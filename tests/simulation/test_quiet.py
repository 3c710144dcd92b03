"""A quiet worker claims nothing and gives back what it has not started; what runs goes on."""

from __future__ import annotations

from collections import Counter
from typing import Any


def states(world: Any) -> Counter[str]:
    return Counter(job.state for job in world.jobs().values())


def test_what_runs_goes_on_and_nothing_more_is_claimed(simulation: Any) -> None:
    world = simulation.World(1)
    world.kind, world.longest = True, 20.0
    world.insert(10)
    worker = simulation.Worker(world, 4)
    world.run(0.1)
    assert len(worker.executing) == 4
    worker.quieten()
    world.run(60)
    assert states(world) == {"completed": 4, "queued": 6}
    turns = worker.turns
    world.insert(5)
    world.run(10)
    assert states(world) == {"completed": 4, "queued": 11}
    assert worker.turns < turns + 100, "it turns for nothing"
    assert not worker.ended
    worker.wake()
    world.run(200)
    world.check_the_end()


def test_it_hands_back_what_waits_for_a_slot(simulation: Any) -> None:
    """Claims that were made ahead are for others to run, at once."""
    world = simulation.World(1)
    world.kind, world.longest = True, 0.01
    world.insert(400)
    quick = simulation.Worker(world, 10)
    world.run(30, until=lambda: quick.dispatcher.held > 0)
    assert quick.dispatcher.held > 0
    quick.quieten()
    assert quick.dispatcher.held == 0
    world.run(1)
    assert states(world)["processing"] == 0
    assert states(world)["queued"] > 0


def test_claims_that_were_on_their_way_are_handed_back(simulation: Any) -> None:
    world = simulation.World(1)
    world.insert(3)
    worker = simulation.Worker(world, 4)
    world.run(1, until=lambda: worker._flying)
    worker.quieten()
    world.run(1)
    assert states(world) == {"queued": 3}
    assert [job.attempt for job in world.jobs().values()] == [0, 0, 0]


def test_another_worker_gets_what_it_leaves(simulation: Any) -> None:
    world = simulation.World(1)
    world.kind, world.longest = True, 0.1
    first = simulation.Worker(world, 4)
    first.quieten()
    simulation.Worker(world, 4)
    world.insert(20)
    world.run(10)
    world.check_the_end()
    assert first.most == 0


def test_a_quiet_worker_stops_when_it_is_told_to(simulation: Any) -> None:
    world = simulation.World(1)
    world.insert(3)
    worker = simulation.Worker(world, 4)
    worker.quieten()
    world.run(1)
    worker.stop(grace=1)
    world.run(10)
    assert worker.ended
    assert states(world) == {"queued": 3}


def test_a_quiet_worker_that_drains_ends_with_its_jobs_once_none_is_due(simulation: Any) -> None:
    world = simulation.World(1)
    world.kind, world.longest = True, 5.0
    world.insert(2)
    worker = simulation.Worker(world, 4, drain=True)
    world.run(0.1)
    worker.quieten()
    world.insert(1)
    world.run(60)
    assert states(world) == {"completed": 2, "queued": 1}
    assert not worker.ended, "something is due, and it may yet be woken"
    worker.wake()
    world.run(60)
    assert worker.ended
    world.check_the_end()


def test_under_a_new_name_it_is_quiet_no_more(simulation: Any) -> None:
    world = simulation.World(1)
    world.kind = True
    worker = simulation.Worker(world, 4)
    worker.quieten()
    world.insert(3)
    world.run(1)
    worker.stall(simulation.LEASE * 3)
    world.run(200)
    world.check_the_end()
