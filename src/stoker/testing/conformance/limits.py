"""What a store promises of limits: how much is processed at once, and how much is begun in a while."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND
from stoker.job import Limit, State, Verdict
from stoker.store import Action, QueueLimit, Want
from stoker.testing.conformance.rig import HOUR, LEASE, MINUTE, Rig, completed, ids, retried, verdict

TWO = Limit("two", concurrency=2)
SLOW = Limit("slow", rate=6, period=MINUTE)
EACH = 10 * SECOND
"""The span in which a token of `SLOW` comes in."""


def limit_queue(rig: Rig, queue: str = "default", **facts: object) -> None:
    """Set the queue's limit."""
    rig.run(rig.store.limit(queue, QueueLimit(**facts)))  # type: ignore[arg-type]


# --- at once --------------------------------------------------------------------------------------------------------


def test_no_more_are_claimed_than_the_limit_says(rig: Rig) -> None:
    made = rig.enqueue_many(5, limit=TWO)
    rig.hire()
    assert ids(rig.claim()) == made[:2]
    assert rig.claim() == []


def test_the_limit_holds_over_workers_and_exchanges(rig: Rig) -> None:
    made = rig.enqueue_many(3, limit=TWO)
    for worker in ("a", "b", "c"):
        rig.hire(worker)
    assert [ids(rig.claim(worker, 1)) for worker in ("a", "b", "c")] == [[made[0]], [made[1]], []]


def test_those_behind_are_claimed(rig: Rig) -> None:
    limited = rig.enqueue_many(5, limit=TWO)
    others = rig.enqueue_many(3)
    rig.hire()
    assert ids(rig.claim(limit=4)) == [*limited[:2], *others[:2]]
    assert ids(rig.claim(limit=4)) == others[2:]


def test_a_settled_job_makes_room_in_the_same_exchange(rig: Rig) -> None:
    made = rig.enqueue_many(4, limit=TWO)
    rig.hire()
    first, second = rig.claim()
    assert ids(rig.exchange("worker", completed(first), limit=5).claims) == [made[2]]
    assert ids(rig.exchange("worker", verdict(second, Verdict.CANCELLED), limit=5).claims) == [made[3]]


@pytest.mark.parametrize("how", [Verdict.SNOOZED, Verdict.RETRY, Verdict.FAILED])
def test_whatever_ends_an_attempt_makes_room(rig: Rig, how: Verdict) -> None:
    made = rig.enqueue_many(3, limit=TWO, max_attempts=5)
    rig.hire()
    first, _ = rig.claim()
    outcome = retried(first, HOUR) if how is Verdict.RETRY else verdict(first, how, delay=HOUR)
    assert ids(rig.exchange("worker", outcome, limit=5).claims) == [made[2]]


def test_jobs_given_back_stand_before_the_others_of_their_limit(rig: Rig) -> None:
    made = rig.enqueue_many(4, limit=TWO)
    rig.hire()
    held = rig.claim()
    rig.settle(*(verdict(claim, Verdict.RELEASED) for claim in held))
    assert ids(rig.claim()) == made[:2]


def test_a_crash_frees_its_room(rig: Rig) -> None:
    made = rig.enqueue_many(4, limit=TWO)
    rig.hire("dead")
    assert ids(rig.claim("dead")) == made[:2]
    rig.hire()
    assert rig.claim() == []
    rig.advance(LEASE)
    rig.hire()
    rig.recover_all()
    assert ids(rig.claim()) == made[:2]


def test_a_limit_holds_over_queues(rig: Rig) -> None:
    there = rig.enqueue_many(2, limit=TWO, queue="there")
    here = rig.enqueue_many(2, limit=TWO, queue="here")
    rig.hire()
    assert ids(rig.claim(limit=1, queue="there")) == there[:1]
    assert ids(rig.claim(wants=[Want("here", 5), Want("there", 5)])) == here[:1]
    assert rig.claim() == []


def test_a_paused_queue_does_not_keep_the_others_room(rig: Rig) -> None:
    rig.enqueue_many(2, limit=TWO, queue="paused")
    rig.run(rig.store.pause("paused", paused=True))
    made = rig.enqueue_many(2, limit=TWO)
    rig.hire()
    assert ids(rig.claim()) == made


def test_an_unknown_task_does_not_keep_the_others_room(rig: Rig) -> None:
    rig.enqueue_many(2, limit=TWO, task="unknown", queue="other")
    made = rig.enqueue_many(2, limit=TWO)
    rig.hire()
    assert ids(rig.claim()) == made


def test_keys_are_limited_each_for_itself(rig: Rig) -> None:
    limits = [Limit(f"k{number}", concurrency=1) for number in range(50)]
    first = [rig.enqueue(limit=limit) for limit in limits]
    second = [rig.enqueue(limit=limit) for limit in limits]
    rig.hire()
    held = rig.claim()
    assert ids(held) == first
    assert ids(rig.exchange("worker", *map(completed, held[::2]), limit=100).claims) == second[::2]


def test_priority_counts_within_a_limit(rig: Rig) -> None:
    low = rig.enqueue_many(3, limit=TWO)
    high = rig.enqueue(limit=TWO, priority=5)
    rig.hire()
    assert ids(rig.claim()) == [high, low[0]]


def test_a_change_of_priority_counts_within_a_limit(rig: Rig) -> None:
    made = rig.enqueue_many(4, limit=TWO)
    rig.amend(Action.PRIORITISE, made[3], priority=5)
    rig.hire()
    assert ids(rig.claim()) == [made[3], made[0]]


def test_the_latest_limit_counts(rig: Rig) -> None:
    made = rig.enqueue_many(4, limit=TWO)
    rig.hire()
    assert ids(rig.claim()) == made[:2]
    made.append(rig.enqueue(limit=Limit("two", concurrency=3)))
    assert ids(rig.claim()) == made[2:3]
    made.append(rig.enqueue(limit=Limit("two")))
    assert ids(rig.claim()) == made[3:]


def test_a_limit_that_shrinks_lets_nothing_through_until_there_is_room(rig: Rig) -> None:
    made = rig.enqueue_many(4, limit=TWO)
    rig.hire()
    first, second = rig.claim()
    made.append(rig.enqueue(limit=Limit("two", concurrency=1)))
    assert ids(rig.exchange("worker", completed(first), limit=5).claims) == []
    assert ids(rig.exchange("worker", completed(second), limit=5).claims) == made[2:3]


def test_scheduled_and_waiting_jobs_are_limited_when_they_are_queued(rig: Rig) -> None:
    rig.enqueue_many(2, limit=TWO, delay=SECOND)
    parent = rig.begin()
    rig.enqueue_many(2, limit=TWO, parents=(parent.id,))
    rig.advance(SECOND)
    rig.hire()
    assert len(rig.exchange("worker", completed(parent), limit=10).claims) == 2
    assert rig.claim() == []


def test_cancelled_retried_and_deleted_jobs_leave_no_trace_in_a_limit(rig: Rig) -> None:
    made = rig.enqueue_many(6, limit=TWO)
    rig.cancel(made[0])
    rig.delete(made[1])
    rig.hire()
    assert ids(rig.claim()) == made[2:4]
    rig.cancel(*made[4:])
    rig.advance(1)
    rig.retry(made[0])
    rig.lose("worker")
    rig.recover_all()
    rig.hire("other")
    assert ids(rig.claim("other")) == made[2:4]
    rig.delete(made[2])
    assert rig.claim("other") == []
    rig.exchange("other", known=[], wants=[])
    rig.delete(made[2])
    assert ids(rig.claim("other")) == [made[3], made[0]]


def test_limited_jobs_that_were_put_back_are_limited(rig: Rig) -> None:
    made = rig.enqueue_many(4, limit=TWO)
    records = rig.records()
    assert {job.limit for job in records} == {"two"}
    rig.delete()
    rig.run(rig.store.restore(records[::-1]))
    rig.hire()
    assert ids(rig.claim()) == made[:2]


def test_every_queued_job_counts_as_queued(rig: Rig) -> None:
    rig.enqueue_many(5, limit=TWO)
    assert rig.queue().queued == 5
    assert rig.run(rig.store.count()) == {"queued": 5}
    assert len(rig.find(states=(State.QUEUED,))) == 5
    rig.hire()
    rig.claim()
    assert (rig.queue().queued, rig.queue().processing) == (3, 2)
    assert rig.run(rig.store.count()) == {"queued": 3, "processing": 2}


# --- in a while -----------------------------------------------------------------------------------------------------


def test_a_full_bucket_lets_its_rate_through_and_no_more(rig: Rig) -> None:
    made = rig.enqueue_many(8, limit=SLOW)
    rig.hire()
    assert ids(rig.claim()) == made[:6]
    answer = rig.exchange(limit=10)
    assert (answer.claims, answer.due_in) == ([], EACH)


def test_tokens_come_in_one_by_one(rig: Rig) -> None:
    made = rig.enqueue_many(9, limit=SLOW)
    rig.hire(lease=HOUR)
    rig.claim()
    rig.advance(EACH - 1)
    assert rig.exchange(limit=10).claims == []
    assert rig.exchange(limit=10).due_in == 1
    rig.advance(1)
    assert ids(rig.claim()) == made[6:7]
    rig.advance(2 * EACH)
    assert ids(rig.claim()) == made[7:9]
    assert rig.exchange(limit=10).due_in is None


def test_a_bucket_holds_no_more_than_its_rate(rig: Rig) -> None:
    rig.enqueue(limit=SLOW)
    rig.hire(lease=24 * HOUR)
    rig.claim()
    rig.advance(HOUR)
    made = rig.enqueue_many(10, limit=SLOW)
    assert ids(rig.claim()) == made[:6]


def test_an_end_gives_no_token_back(rig: Rig) -> None:
    rig.enqueue_many(8, limit=SLOW)
    rig.hire()
    held = rig.claim()
    assert rig.exchange("worker", *map(completed, held), limit=10).claims == []


def test_those_behind_an_empty_bucket_are_claimed(rig: Rig) -> None:
    rig.enqueue_many(8, limit=SLOW)
    other = rig.enqueue()
    rig.hire()
    rig.claim(limit=6)
    assert ids(rig.claim()) == [other]


def test_buckets_that_nobody_waits_for_are_not_waited_for(rig: Rig) -> None:
    made = rig.enqueue_many(7, limit=SLOW)
    rig.hire()
    rig.claim()
    rig.cancel(made[6])
    assert rig.exchange().due_in is None


def test_the_nearer_of_a_bucket_and_a_schedule_is_due(rig: Rig) -> None:
    rig.enqueue_many(7, limit=SLOW)
    rig.hire()
    rig.claim()
    rig.enqueue(delay=HOUR)
    assert rig.exchange().due_in == EACH
    rig.enqueue(delay=SECOND)
    assert rig.exchange().due_in == SECOND


def test_both_limits_hold(rig: Rig) -> None:
    limit = Limit("both", concurrency=2, rate=3, period=MINUTE)
    made = rig.enqueue_many(6, limit=limit)
    rig.hire()
    first = rig.claim()
    assert ids(first) == made[:2]
    answer = rig.exchange("worker", *map(completed, first), limit=10)
    assert (ids(answer.claims), answer.due_in) == (made[2:3], 20 * SECOND)
    rig.advance(20 * SECOND)
    rig.hire()
    assert ids(rig.claim()) == made[3:4]


def test_a_clock_that_steps_back_stops_nothing_for_long(rig: Rig) -> None:
    rig.enqueue_many(20, limit=SLOW)
    rig.hire(lease=48 * HOUR)
    rig.claim()
    rig.advance(-24 * HOUR)
    assert rig.exchange(limit=10).due_in == EACH
    rig.advance(EACH)
    assert len(rig.claim()) == 1


def test_a_bucket_outlives_a_change_of_its_rate(rig: Rig) -> None:
    rig.enqueue_many(7, limit=SLOW)
    rig.hire(lease=HOUR)
    rig.claim()
    rig.enqueue_many(9, limit=Limit("slow", rate=60, period=MINUTE))
    assert rig.claim() == []
    rig.advance(SECOND)
    assert len(rig.claim()) == 1


# --- queues ---------------------------------------------------------------------------------------------------------


def test_a_queues_concurrency_holds(rig: Rig) -> None:
    limit_queue(rig, concurrency=2)
    made = rig.enqueue_many(5)
    other = rig.enqueue(queue="other")
    rig.hire()
    held = rig.claim(queue="default")
    assert ids(held) == made[:2]
    assert ids(rig.claim()) == [other]
    assert ids(rig.exchange("worker", completed(held[0]), limit=9).claims) == made[2:3]


def test_a_queues_rate_holds(rig: Rig) -> None:
    limit_queue(rig, rate=6, period=MINUTE)
    made = rig.enqueue_many(8)
    rig.hire()
    assert ids(rig.claim()) == made[:6]
    answer = rig.exchange(limit=5)
    assert (answer.claims, answer.due_in) == ([], EACH)
    rig.advance(EACH)
    rig.hire()
    assert ids(rig.claim()) == made[6:7]


def test_a_queues_limit_is_shown_and_taken_away(rig: Rig) -> None:
    limit_queue(rig, concurrency=1, rate=2, period=SECOND)
    assert rig.queue().limit == QueueLimit(concurrency=1, rate=2, period=SECOND)
    made = rig.enqueue_many(3)
    rig.hire()
    assert ids(rig.claim()) == made[:1]
    limit_queue(rig)
    assert rig.queue().limit == QueueLimit()
    assert ids(rig.claim()) == made[1:]


def test_a_limit_leaves_a_pause_alone_and_a_pause_the_limit(rig: Rig) -> None:
    rig.run(rig.store.pause("default", paused=True))
    limit_queue(rig, concurrency=1)
    assert rig.queue().paused
    rig.run(rig.store.pause("default", paused=False))
    assert rig.queue().limit == QueueLimit(concurrency=1)


def test_the_limits_of_a_queue_and_of_its_jobs_both_hold(rig: Rig) -> None:
    limit_queue(rig, concurrency=3)
    limited = rig.enqueue_many(4, limit=TWO)
    others = rig.enqueue_many(4)
    rig.hire()
    assert ids(rig.claim()) == [*limited[:2], others[0]]


def test_a_queue_at_its_limit_leaves_its_turn_to_others(rig: Rig) -> None:
    limit_queue(rig, "a", concurrency=1)
    rig.enqueue_many(5, queue="a")
    rig.enqueue_many(9, queue="b")
    rig.hire()
    assert len(rig.claim(limit=8)) == 8
