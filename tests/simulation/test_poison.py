"""An outcome that no store can record: it is found by halves, told apart, and holds nobody up."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("poisoned", [1, 2, 5])
def test_the_others_of_its_batch_are_recorded(simulation: Any, poisoned: int) -> None:
    world = simulation.World(3)
    world.longest = 0.001
    ids = world.insert(64)
    for id in ids[10 : 10 + poisoned]:
        world.poison(id)
    simulation.Worker(world, 64)
    world.run(60)
    world.check_the_end()
    jobs = world.jobs()
    for id in ids[10 : 10 + poisoned]:
        assert jobs[id].state == "failed"
        assert "the store refused to record how this attempt ended" in jobs[id].errors[-1].message
    assert sum(job.errors != () and job.errors[-1].type == "unstorable" for job in jobs.values()) == poisoned


def test_it_is_found_in_a_few_exchanges(simulation: Any) -> None:
    world = simulation.World(3)
    world.longest = 0.001
    [bad, *_] = world.insert(64)
    world.poison(bad)
    simulation.Worker(world, 64)
    world.run(1.0)
    clean = simulation.World(3)
    clean.longest = 0.001
    clean.insert(64)
    simulation.Worker(clean, 64)
    clean.run(1.0)
    assert world.exchanges <= clean.exchanges + 20
