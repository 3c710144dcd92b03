"""What `Store.totals` promises, as long as there are few jobs: then every number is exact."""

from __future__ import annotations

from stoker.job import Limit, ParentFailure, State
from stoker.testing.conformance.rig import Rig, completed, failed
from stoker.views import Totals


def totals(rig: Rig) -> Totals:
    """How many jobs there are."""
    return rig.run(rig.store.totals())


def test_there_are_none_at_first(rig: Rig) -> None:
    assert totals(rig) == Totals({})


def test_each_state_is_counted(rig: Rig) -> None:
    for number, state in enumerate(State):
        for _ in range(number):
            rig.make(state, queue=f"q{number % 2}")
    counts = {state: number for number, state in enumerate(State) if number}
    assert totals(rig) == Totals(counts)


def test_they_are_what_count_says(rig: Rig) -> None:
    for state in State:
        rig.make(state)
    assert totals(rig).counts == rig.run(rig.store.count())


def test_what_a_limit_holds_back_is_queued(rig: Rig) -> None:
    rig.enqueue_many(5, limit=Limit("k", concurrency=1))
    assert totals(rig) == Totals({State.QUEUED: 5})


def test_every_way_to_end_counts(rig: Rig) -> None:
    well, badly, third = rig.begin(), rig.begin(), rig.enqueue()
    rig.enqueue(parents=(well.id,), on_parent_failure=ParentFailure.ONLY)
    rig.enqueue(parents=(badly.id,))
    rig.settle(completed(well), failed(badly))
    rig.cancel(third)
    assert totals(rig) == Totals({State.COMPLETED: 1, State.FAILED: 1, State.CANCELLED: 3})


def test_what_is_gone_or_back_counts_accordingly(rig: Rig) -> None:
    ids = [rig.make(State.COMPLETED) for _ in range(3)]
    dump = rig.read(ids[0])
    rig.delete(*ids[:2])
    assert totals(rig) == Totals({State.COMPLETED: 1})
    rig.run(rig.store.restore([dump]))
    assert totals(rig) == Totals({State.COMPLETED: 2})
    failure = rig.make(State.FAILED)
    rig.retry(failure)
    assert totals(rig) == Totals({State.COMPLETED: 2, State.QUEUED: 1})
