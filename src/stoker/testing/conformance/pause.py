"""What `Store.pause` promises; what a pause means to claims stands in `exchange_claim`."""

from __future__ import annotations

from stoker.job import State
from stoker.testing.conformance.rig import LEASE, Rig, completed, ids


def paused(rig: Rig) -> dict[str, bool]:
    return {queue.name: queue.paused for queue in rig.run(rig.store.census()).queues}


def test_a_queue_can_be_paused_before_it_has_jobs(rig: Rig) -> None:
    rig.run(rig.store.pause("mail", True))
    assert paused(rig) == {"mail": True}
    rig.enqueue(queue="mail")
    rig.hire()
    assert rig.claim() == []


def test_pausing_and_resuming_can_be_repeated(rig: Rig) -> None:
    for state in (True, True, False, False, True):
        rig.run(rig.store.pause("mail", state))
        assert paused(rig) == {"mail": state}


def test_a_queue_that_was_never_paused_can_be_resumed(rig: Rig) -> None:
    id = rig.enqueue(queue="mail")
    rig.run(rig.store.pause("mail", False))
    rig.hire()
    assert ids(rig.claim()) == [id]


def test_other_queues_go_on(rig: Rig) -> None:
    rig.run(rig.store.pause("mail", True))
    id = rig.enqueue(queue="mail2")
    rig.hire()
    assert ids(rig.claim()) == [id]


def test_a_paused_queue_takes_jobs(rig: Rig) -> None:
    rig.run(rig.store.pause("mail", True))
    assert rig.state(rig.enqueue(queue="mail")) is State.QUEUED


def test_running_jobs_go_on(rig: Rig) -> None:
    claim = rig.begin(queue="mail")
    rig.run(rig.store.pause("mail", True))
    assert rig.beat("worker", lease=LEASE).cancel == []
    assert rig.state(claim.id) is State.PROCESSING
    assert rig.settle(completed(claim)) == []


def test_scheduled_jobs_become_due_and_wait(rig: Rig) -> None:
    rig.run(rig.store.pause("mail", True))
    id = rig.enqueue(queue="mail", delay=5)
    rig.hire()
    assert rig.exchange(limit=1).due_in == 5
    rig.advance(5)
    answer = rig.exchange(limit=1)
    assert (answer.claims, answer.due_in) == ([], None)
    assert rig.state(id) is State.QUEUED
