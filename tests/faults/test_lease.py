"""Who holds a lease holds its jobs, however long they run; who stood still does not."""

from __future__ import annotations

from faults.support import LEASE, World, until
from stoker.job import State
from stoker.store import Worker

KEPT = 6.0
"""seconds of a lease that is renewed while a test looks on: every third of it, with time to spare"""


def renewed(world: World, times: int) -> None:
    """Wait until the only worker has renewed its lease that many times."""
    for _ in range(times):
        before = _only(world).lease_until
        until(lambda before=before: _only(world).lease_until > before, "the lease is renewed")


def _only(world: World) -> Worker:
    [worker] = world.app.workers.list()
    return worker


def test_a_blocked_event_loop_keeps_its_lease_and_is_reported(world: World):
    job = world.enqueue("block", world.gate())
    worker = world.start_worker(lease=KEPT)
    world.starts(job)
    renewed(world, 3)
    other = world.start_worker()
    later = world.enqueue("quick")
    assert world.ends(later).state is State.COMPLETED  # by the other one, which recovers too
    assert "the event loop has been blocked" in worker.log
    assert ", in block\n" in worker.log  # the stack says where
    world.open(world.gate())
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes, record.fence) == (State.COMPLETED, 1, 0, 1)
    assert other.alive
    world.check()


def test_a_stopped_process_loses_its_lease(world: World):
    ids = [world.enqueue(task, world.gate()) for task in ("hold", "hold_in_thread", "hold_in_process")]
    stalled = world.start_worker(lease=LEASE)
    for id in ids:
        world.starts(id)
    stalled.stall()
    for run in world.history.runs():
        if run.pid != stalled.pid:  # the process child runs on: it cannot be told by a worker that stands still
            from faults.history import record

            record(world.path, "stalled", victim=run.pid)
    world.outlast(stalled.pid)
    world.start_worker()
    for id in ids:
        world.starts(id, 2)
    stalled.go_on()
    until(lambda: "lost its lease" in stalled.log)
    until(lambda: len(world.history.of("ended")) >= 3, "the losers are told to stop")
    world.open(world.gate())
    for id in ids:
        record_ = world.ends(id)
        assert (record_.state, record_.attempt, record_.crashes) == (State.COMPLETED, 2, 1)
    world.check()


def test_words_that_cannot_be_stored_do_not_cost_the_lease(world: World):
    job = world.enqueue("talk", world.gate())
    worker = world.start_worker(lease=KEPT)
    world.starts(job)
    renewed(world, 2)
    other = world.enqueue("quick")
    assert world.ends(other).state is State.COMPLETED
    world.open(world.gate())
    record = world.ends(job)
    assert (record.state, record.attempt, record.crashes) == (State.COMPLETED, 1, 0)
    assert worker.alive
    assert "lost its lease" not in worker.log
    world.check()


def test_a_listener_that_raises_does_not_cost_the_lease(world: World):
    """Somebody's own sink for events fails, at every event, in the keeper's thread too."""
    (world.folder / "loud.py").write_text(
        "from faults.jobs import app\n@app.subscribe\ndef sink(event):\n    raise RuntimeError('this sink is broken')\n"
    )
    job = world.enqueue("block", world.gate())  # a blocked loop is an event of the keeper's thread
    worker = world.start_worker("loud:app", lease=KEPT)
    world.starts(job)
    renewed(world, 2)
    failing = world.enqueue("fail")
    world.open(world.gate())
    assert world.ends(job).fence == 1
    assert world.ends(failing).state is State.FAILED
    assert world.ends(world.enqueue("quick")).state is State.COMPLETED
    assert worker.terminate() == 0, worker.log
    world.check()
