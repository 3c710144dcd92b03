"""What `Store.front` promises: who is first in line."""

from __future__ import annotations

from stoker.clock import SECOND
from stoker.job import Limit, State
from stoker.store import Fair, QueueLimit
from stoker.testing.conformance.rig import HOUR, Rig, completed, ids, retried


def front(rig: Rig, limit: int = 1000, queue: str = "default") -> list[str]:
    """The first in line."""
    return rig.run(rig.store.front(queue, limit))


def test_a_queue_that_nobody_knows_has_no_line(rig: Rig) -> None:
    assert front(rig) == []


def test_the_line_is_the_order_of_claims(rig: Rig) -> None:
    late = rig.enqueue(run_at=rig.now - 1)
    early = rig.enqueue(run_at=rig.now - SECOND)
    low, high = rig.enqueue(priority=-5, run_at=rig.now - HOUR), rig.enqueue(priority=5)
    twins = rig.enqueue_many(2, run_at=rig.now - 1)
    line = front(rig)
    assert line == [high, early, late, *twins, low]
    rig.hire()
    assert ids(rig.claim()) == line


def test_no_more_than_asked_for(rig: Rig) -> None:
    made = rig.enqueue_many(5)
    assert front(rig, 2) == made[:2]
    assert front(rig, 0) == []


def test_only_queued_jobs_of_that_queue_stand_in_line(rig: Rig) -> None:
    for state in set(State) - {State.QUEUED}:
        rig.make(state)
    rig.enqueue(queue="other")
    id = rig.enqueue()
    assert front(rig) == [id]
    assert len(front(rig, queue="other")) == 1


def test_whatever_its_task_or_its_tags(rig: Rig) -> None:
    made = [rig.enqueue(task="unknown"), rig.enqueue(tags=("x",))]
    assert front(rig) == made


def test_a_paused_queue_has_its_line(rig: Rig) -> None:
    id = rig.enqueue()
    rig.run(rig.store.pause("default", True))
    assert front(rig) == [id]


def test_what_a_limit_holds_back_stands_in_its_place(rig: Rig) -> None:
    one = Limit("k", concurrency=1)
    made = [rig.enqueue(limit=one if number % 2 else None) for number in range(9)]
    assert front(rig) == made
    assert front(rig, 4) == made[:4]
    rig.hire()
    assert ids(rig.claim(limit=3)) == made[:3]
    assert front(rig) == made[3:]
    assert front(rig, 3) == made[3:6]


def test_a_queue_over_its_limit_has_its_line(rig: Rig) -> None:
    rig.run(rig.store.limit("default", QueueLimit(concurrency=1)))
    made = rig.enqueue_many(3)
    rig.hire()
    rig.claim()
    assert front(rig) == made[1:]


def test_turns_count(rig: Rig) -> None:
    rig.run(rig.store.limit("default", QueueLimit(fair=Fair.OWNER)))
    a = rig.enqueue_many(3, owner="a")
    b = rig.enqueue_many(2, owner="b", limit=Limit("k", concurrency=1))
    assert front(rig) == [a[0], b[0], a[1], b[1], a[2]]


def test_the_line_moves(rig: Rig) -> None:
    made = rig.enqueue_many(3, max_attempts=2)
    rig.hire()
    first, second = rig.claim(limit=2)
    assert front(rig) == made[2:]
    rig.advance(1)
    rig.settle(completed(first), retried(second))
    assert front(rig) == [made[2], made[1]]
    rig.cancel(made[2])
    assert front(rig) == [made[1]]
