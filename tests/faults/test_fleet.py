"""A parent and its worker processes: the dead are replaced, orphans stop, and all obey."""

from __future__ import annotations

import os
import signal

from faults.history import record as write
from faults.support import World, children_of, on_sqlite, state_of, until
from stoker.job import State

pytestmark = on_sqlite


def gone(pid: int) -> bool:
    return state_of(pid) in ("", "Z", "X")


def fleet_of(world: World, size: int, **options):
    fleet = world.start_worker(processes=size, ready=False, **options)
    until(lambda: len(world.app.workers.list()) == size, "every worker is known")
    return fleet


def test_a_killed_child_is_replaced_and_its_jobs_run(world: World):
    job = world.enqueue("hold", world.gate())
    fleet = fleet_of(world, 2)
    world.starts(job)
    victim = world.history.runs(job)[0].pid
    assert victim in children_of(fleet.pid)
    os.kill(victim, signal.SIGKILL)
    write(world.path, "dead", victim=victim)
    world.lapse(victim)
    until(lambda: len(children_of(fleet.pid)) == 2 and victim not in children_of(fleet.pid), "another is started")
    assert "ended with signal SIGKILL; starting another" in fleet.log
    world.starts(job, 2)
    world.open(world.gate())
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 2, 1)
    assert fleet.terminate() == 0, fleet.log
    world.check()


def test_sigterm_to_the_parent_stops_all(world: World):
    ids = [world.enqueue(task, world.gate()) for task in ("hold", "hold_in_thread", "hold_in_process")]
    fleet = fleet_of(world, 2, grace=0.2)
    for id in ids:
        world.starts(id)
    assert fleet.terminate() == 0, fleet.log
    until(lambda: not world.members(), "every process ends")
    for id in ids:
        assert (world.job(id).state, world.job(id).attempt) == (State.QUEUED, 0)
    assert world.app.workers.list() == []
    world.check(final=False)


def test_a_second_sigterm_to_the_parent_ends_the_grace(world: World):
    job = world.enqueue("hold", world.gate())
    fleet = fleet_of(world, 2, grace=3600.0)
    world.starts(job)
    fleet.signal(signal.SIGTERM)
    until(lambda: fleet.log.count("is stopping") == 2)
    fleet.signal(signal.SIGTERM)
    assert fleet.wait() == 0, fleet.log
    assert (world.job(job).state, world.job(job).attempt) == (State.QUEUED, 0)
    assert world.app.workers.list() == []


def test_the_children_of_a_killed_parent_stop(world: World):
    ids = [world.enqueue(task, world.gate()) for task in ("hold", "hold_in_thread", "hold_in_process")]
    fleet = fleet_of(world, 2, grace=0.2)
    for id in ids:
        world.starts(id)
    fleet.kill()
    until(lambda: not world.members(), "every process ends")
    for id in ids:
        assert (world.job(id).state, world.job(id).attempt, world.job(id).crashes) == (State.QUEUED, 0, 0)
    assert world.app.workers.list() == []
    world.check(final=False)


def test_a_child_that_is_told_to_stop_alone_is_not_replaced_while_others_work(world: World):
    fleet = fleet_of(world, 2)
    one = children_of(fleet.pid)[0]
    os.kill(one, signal.SIGTERM)
    until(lambda: gone(one))
    assert world.ends(world.enqueue("quick")).state is State.COMPLETED
    assert fleet.terminate() == 0, fleet.log


def test_a_worker_that_a_person_stopped_is_not_replaced_and_the_last_one_ends_the_fleet(world: World):
    held = [world.enqueue("hold", world.gate()) for _ in range(2)]
    fleet = fleet_of(world, 2, concurrency=1, grace=3600.0)
    for job in held:
        world.starts(job)
    first, second = world.app.workers.list()
    world.app.workers.stop(first.id)
    until(lambda: f"worker {first.id} is stopping" in fleet.log, "it hears")
    assert state_of(first.pid) not in ("", "Z"), "its job goes on"
    world.open(world.gate())
    until(lambda: gone(first.pid), "the process ends")
    for job in held:
        assert (world.ends(job).state, world.job(job).attempt) == (State.COMPLETED, 1)
    after = world.enqueue("quick")
    assert world.ends(after).worker == second.id
    assert [worker.id for worker in world.app.workers.list()] == [second.id]
    world.app.workers.stop(second.id)
    assert fleet.wait() == 0, fleet.log
    assert "starting another" not in fleet.log
    assert world.app.workers.list() == []
    world.check()


def test_a_worker_that_was_stopped_obeys_signals_as_well(world: World):
    job = world.enqueue("hold", world.gate())
    fleet = fleet_of(world, 2, grace=3600.0)
    world.starts(job)
    for worker in world.app.workers.list():
        world.app.workers.stop(worker.id)
    until(lambda: fleet.log.count("is stopping") == 2)
    until(lambda: "released on attempt" in fleet.log or fleet.signal(signal.SIGTERM), "signals end the grace")
    assert fleet.wait() == 0, fleet.log
    assert (world.job(job).state, world.job(job).attempt) == (State.QUEUED, 0)


def test_a_draining_fleet_ends_by_itself(world: World):
    for _ in range(50):
        world.enqueue("quick")
    fleet = world.start_worker(processes=2, drain=True, ready=False)
    assert fleet.wait() == 0, fleet.log
    assert world.counts() == {"completed": 50}
    world.check()


def test_exit_codes(world: World):
    nowhere = world.start_worker("there_is_none:app", ready=False)
    assert nowhere.wait() == 2
    assert "there is no module 'there_is_none'" in nowhere.log
    fleet = world.start_worker("there_is_none:app", processes=2, ready=False)
    assert fleet.wait() == 2
    (world.folder / "jobs.db").write_bytes(b"this is no database, whatever its name says" * 100)
    broken = world.start_worker(ready=False)
    assert broken.wait() == 1
    assert "not a SQLite database" in broken.log
    fleet = world.start_worker(processes=2, ready=False)
    until(lambda: "starting another" in fleet.log, "it tries again")
    assert fleet.terminate() in (0, 1)
    until(lambda: not world.members())
