"""What `Store.count` and `Store.census` promise."""

from __future__ import annotations

from stoker.clock import SECOND
from stoker.job import State
from stoker.store import Facet, Filter, QueueInfo
from stoker.testing.conformance.rig import DAY, HOUR, LEASE, MINUTE, Rig, completed


def counted(rig: Rig, by: Facet = Facet.STATE, which: Filter = Filter()) -> dict[str, int]:
    return rig.run(rig.store.count(which, by))


def queues(rig: Rig) -> list[QueueInfo]:
    return list(rig.run(rig.store.census()).queues)


# --- count ----------------------------------------------------------------------------------------------------------


def test_nothing_to_count(rig: Rig) -> None:
    for by in Facet:
        assert counted(rig, by) == {}


def test_by_state(rig: Rig) -> None:
    for count, state in enumerate(State, 1):
        for _ in range(count):
            rig.make(state, owner="o")
    expected = {state.value: count for count, state in enumerate(State, 1)}
    assert counted(rig, which=Filter(owner="o")) == expected
    assert counted(rig) == expected | {"scheduled": expected["scheduled"] + 1}  # the waiting job's parent


def test_by_the_other_facets(rig: Rig) -> None:
    rig.enqueue_many(3, queue="q1", task="t1", owner="o1")
    rig.enqueue_many(2, queue="q2", task="t1", owner="o2")
    rig.enqueue(queue="q2", task="t2")
    assert counted(rig, Facet.QUEUE) == {"q1": 3, "q2": 3}
    assert counted(rig, Facet.TASK) == {"t1": 5, "t2": 1}
    assert counted(rig, Facet.OWNER) == {"o1": 3, "o2": 2}


def test_finished_jobs_are_counted_too(rig: Rig) -> None:
    rig.make(State.COMPLETED, queue="q")
    rig.make(State.QUEUED, queue="q")
    assert counted(rig, Facet.QUEUE) == {"q": 2}


def test_only_matching_jobs_are_counted(rig: Rig) -> None:
    rig.enqueue_many(3, queue="q1", owner="o", tags=("x",), payload='[["needle"],{}]')
    rig.enqueue_many(2, queue="q2", owner="o")
    assert counted(rig, Facet.QUEUE, Filter(owner="o")) == {"q1": 3, "q2": 2}
    assert counted(rig, Facet.QUEUE, Filter(tag="x")) == {"q1": 3}
    assert counted(rig, Facet.OWNER, Filter(text="needle")) == {"o": 3}
    assert counted(rig, Facet.STATE, Filter(states=(State.FAILED,))) == {}
    assert counted(rig, Facet.STATE, Filter(states=(), ids=())) == {}


def test_deleted_and_pruned_jobs_are_not_counted(rig: Rig) -> None:
    deleted = rig.enqueue()
    claim = rig.begin(keep_for=0)
    rig.settle(completed(claim))
    rig.delete(deleted)
    rig.run(rig.store.prune())
    assert counted(rig) == {}


# --- queues ---------------------------------------------------------------------------------------------------------


def test_an_empty_census(rig: Rig) -> None:
    assert queues(rig) == []
    assert rig.workers() == []


def test_unfinished_jobs_are_counted_by_queue_and_state(rig: Rig) -> None:
    rig.enqueue_many(3, queue="b")
    rig.enqueue_many(2, queue="b", delay=HOUR)
    rig.begin(queue="b")
    parent = rig.enqueue(queue="a", delay=DAY)
    rig.enqueue(queue="b", parents=(parent,))
    assert queues(rig) == [
        QueueInfo(name="a", scheduled=1),
        QueueInfo(name="b", waiting=1, scheduled=2, queued=3, processing=1, oldest=0.0),
    ]


def test_finished_jobs_are_not_in_the_census(rig: Rig) -> None:
    for state in (State.COMPLETED, State.FAILED, State.CANCELLED):
        rig.make(state, queue="done")
    assert queues(rig) == []


def test_queues_are_listed_by_name(rig: Rig) -> None:
    names = ["b", "a", "B", "ä", "a b", "", "日本", "z", "A"]
    for name in names:
        rig.enqueue(queue=name)
    assert [queue.name for queue in queues(rig)] == sorted(names)


def test_a_queue_that_was_paused_is_known_without_jobs(rig: Rig) -> None:
    rig.run(rig.store.pause("p", True))
    rig.run(rig.store.pause("r", False))
    rig.enqueue(queue="q")
    assert queues(rig) == [
        QueueInfo(name="p", paused=True),
        QueueInfo(name="q", queued=1, oldest=0.0),
        QueueInfo(name="r"),
    ]


def test_the_oldest_is_counted_from_when_it_was_due(rig: Rig) -> None:
    rig.enqueue(queue="q", delay=MINUTE)
    rig.advance(HOUR)
    assert rig.queue("q").oldest is None  # due, but not queued before somebody looked
    rig.exchange()
    assert rig.queue("q").oldest == HOUR / SECOND - MINUTE / SECOND
    rig.enqueue(queue="q", run_at=rig.now - 2 * HOUR, priority=-100)
    assert rig.queue("q").oldest == 2 * HOUR / SECOND


def test_the_oldest_is_none_without_queued_jobs_and_never_negative(rig: Rig) -> None:
    rig.begin(queue="a")
    rig.enqueue(queue="b")
    rig.advance(-HOUR)
    assert (rig.queue("a").oldest, rig.queue("b").oldest) == (None, 0.0)


# --- workers --------------------------------------------------------------------------------------------------------


def test_workers_are_listed_by_their_start(rig: Rig) -> None:
    for name in ("c", "a"):
        rig.hire(name)
        rig.advance(SECOND)
    rig.hire("d")
    rig.hire("b")
    rig.hire("c")
    assert [worker.id for worker in rig.workers()] == ["c", "a", "b", "d"]


def test_a_worker_runs_what_it_holds(rig: Rig) -> None:
    rig.enqueue_many(5)
    rig.hire("w1")
    rig.hire("w2")
    claims = rig.claim("w1", 3)
    assert [worker.running for worker in rig.workers()] == [3, 0]
    rig.settle(completed(claims[0]))
    rig.claim("w2", 1)
    assert [worker.running for worker in rig.workers()] == [2, 1]


def test_a_dead_worker_is_listed_until_it_is_forgotten(rig: Rig) -> None:
    rig.begin()
    rig.advance(LEASE)
    (worker,) = rig.workers()
    assert (worker.running, worker.lease_until) == (1, rig.now)
    rig.recover_all()
    assert rig.workers() == []
