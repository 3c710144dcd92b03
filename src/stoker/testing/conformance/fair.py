"""What a store promises of fair queues: one owner's many jobs do not stand before another's single one."""

from __future__ import annotations

from stoker.clock import SECOND
from stoker.job import Limit, State, Verdict
from stoker.store import Fair, QueueLimit
from stoker.testing.conformance.rig import Rig, completed, ids, verdict


def make_fair(rig: Rig, fair: Fair | None = Fair.OWNER, queue: str = "default") -> None:
    """Have turns taken in the queue, or not."""
    rig.run(rig.store.limit(queue, QueueLimit(fair=fair)))


def one_by_one(rig: Rig, most: int = 1000) -> list[str]:
    """The queued jobs in the order in which they are claimed, each of which ends before the next."""
    order: list[str] = []
    rig.hire()
    while len(order) < most and (claims := rig.claim(limit=1)):
        order += ids(claims)
        rig.settle(*map(completed, claims))
    return order


def test_owners_take_turns(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(4, owner="a")
    b = rig.enqueue_many(2, owner="b")
    assert one_by_one(rig) == [a[0], b[0], a[1], b[1], a[2], a[3]]


def test_a_batch_is_claimed_in_turns_as_well(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(4, owner="a")
    b = rig.enqueue_many(2, owner="b")
    rig.hire()
    assert ids(rig.claim(limit=3)) == [a[0], b[0], a[1]]


def test_who_comes_late_is_next(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(20, owner="a")
    assert one_by_one(rig, 10) == a[:10]
    b = rig.enqueue_many(2, owner="b")
    assert one_by_one(rig, 4) in ([a[10], b[0], a[11], b[1]], [b[0], a[10], b[1], a[11]])


def test_who_was_idle_has_nothing_saved_up(rig: Rig) -> None:
    make_fair(rig)
    rig.enqueue(owner="b")
    a = rig.enqueue_many(20, owner="a")
    one_by_one(rig, 11)
    b = rig.enqueue_many(5, owner="b")
    order = one_by_one(rig, 6)
    assert sum(id in b for id in order) == 3
    assert sum(id in a for id in order) == 3


def test_jobs_without_an_owner_are_together(rig: Rig) -> None:
    make_fair(rig)
    none = rig.enqueue_many(3)
    a = rig.enqueue_many(1, owner="a")
    assert one_by_one(rig) == [none[0], a[0], none[1], none[2]]


def test_priority_comes_first(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(2, owner="a", priority=5)
    b = rig.enqueue_many(2, owner="b")
    assert one_by_one(rig) == [*a, *b]


def test_turns_by_share(rig: Rig) -> None:
    make_fair(rig, Fair.SHARE)
    a = rig.enqueue_many(3, owner="u", share="a")
    b = rig.enqueue_many(2, owner="u", share="b")
    assert one_by_one(rig) == [a[0], b[0], a[1], b[1], a[2]]


def test_queued_jobs_get_their_turns_when_a_queue_becomes_fair(rig: Rig) -> None:
    a = rig.enqueue_many(4, owner="a")
    b = rig.enqueue_many(2, owner="b")
    make_fair(rig)
    assert rig.queue().limit == QueueLimit(fair=Fair.OWNER)
    assert one_by_one(rig) == [a[0], b[0], a[1], b[1], a[2], a[3]]


def test_and_lose_them_when_it_is_fair_no_more(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(4, owner="a")
    b = rig.enqueue_many(2, owner="b")
    make_fair(rig, None)
    c = rig.enqueue(owner="c")
    assert one_by_one(rig) == [*a, *b, c]


def test_another_queue_is_as_it_was(rig: Rig) -> None:
    make_fair(rig, queue="fair")
    a = rig.enqueue_many(2, owner="a")
    b = rig.enqueue_many(1, owner="b")
    assert one_by_one(rig) == [*a, *b]


def test_scheduled_jobs_get_their_turn_when_they_are_due(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(3, owner="a")
    late = rig.enqueue_many(2, owner="b", delay=SECOND)
    rig.advance(SECOND)
    assert one_by_one(rig) == [a[0], late[0], a[1], late[1], a[2]]


def test_jobs_given_back_are_queued_anew(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(3, owner="a")
    b = rig.enqueue_many(3, owner="b")
    rig.hire()
    (claim,) = rig.claim(limit=1)
    rig.settle(verdict(claim, Verdict.RELEASED))
    order = one_by_one(rig)
    assert sorted(order) == sorted([*a, *b])
    assert order.index(b[1]) < order.index(a[2])


def test_retried_and_restored_jobs_are_queued_anew(rig: Rig) -> None:
    make_fair(rig)
    cancelled = rig.enqueue(owner="b")
    rig.cancel(cancelled)
    a = rig.enqueue_many(3, owner="a")
    rig.retry(cancelled)
    assert rig.state(cancelled) is State.QUEUED
    assert one_by_one(rig, 2) in ([a[0], cancelled], [cancelled, a[0]])


def test_limits_and_turns_hold_together(rig: Rig) -> None:
    make_fair(rig)
    a = rig.enqueue_many(5, owner="a", limit=Limit("a", concurrency=1))
    b = rig.enqueue_many(2, owner="b", limit=Limit("b", concurrency=1))
    rig.hire()
    held = rig.claim()
    assert ids(held) == [a[0], b[0]]
    assert ids(rig.exchange("worker", *map(completed, held), limit=9).claims) == [a[1], b[1]]
