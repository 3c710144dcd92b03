"""An exchange that was made, and whose reply never arrived: the worker cannot know what it claimed."""

from __future__ import annotations

from typing import Any


def test_outcomes_are_sent_again_and_the_second_time_refused(simulation: Any) -> None:
    world = simulation.World(1)
    world.longest, world.kind = 0.5, True
    world.insert(20)
    simulation.Worker(world, 20)
    world.run(0.05)
    world.faults.lost = 1.0
    world.run(3)
    world.faults.lost = 0.0
    world.run(60)
    world.check_the_end()


def test_claims_that_never_arrived_run_all_the_same(simulation: Any) -> None:
    world = simulation.World(1, simulation.Faults(lost=1.0))
    world.longest = 0.5
    simulation.Worker(world, 5)
    world.insert(3)
    world.run(1.5)
    world.faults.lost = 0.0
    world.run(3600)
    world.check_the_end()
