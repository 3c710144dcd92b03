"""What `TallyStore` promises."""

from __future__ import annotations

from typing import Any

from stoker.tally_store import MINUTE, TALLIES_KEPT, Tally
from stoker.testing.conformance.rig import HOUR, START, Rig


def add(rig: Rig, queue: str = "default", **counts: int) -> None:
    """Add one."""
    rig.run(rig.store.tallies.add([Tally(queue=queue, **counts)]))


def read(rig: Rig, span: int = HOUR, **how: Any) -> list[Tally]:
    """What was done since a span ago."""
    return rig.run(rig.store.tallies.read(span, **how))


def test_nothing_was_done(rig: Rig) -> None:
    rig.run(rig.store.tallies.add([]))
    assert read(rig) == []


def test_what_is_told_is_read(rig: Rig) -> None:
    add(rig, completed=1, failed=2, retried=3, cancelled=4)
    assert read(rig) == [Tally(queue="default", completed=1, failed=2, retried=3, cancelled=4, at=START)]


def test_a_minute_adds_up(rig: Rig) -> None:
    add(rig, completed=1)
    rig.advance(MINUTE - 1)
    rig.run(rig.store.tallies.add([Tally(queue="default", completed=2), Tally(queue="default", failed=1)]))
    assert read(rig) == [Tally(queue="default", completed=3, failed=1, at=START)]
    rig.advance(1)
    add(rig, retried=1)
    assert read(rig)[1:] == [Tally(queue="default", retried=1, at=START + MINUTE)]


def test_by_minute_and_then_by_queue(rig: Rig) -> None:
    for _ in range(2):
        for queue in ("ü' %", "b", "a", "B"):
            add(rig, queue, completed=1)
        rig.advance(MINUTE)
    found = [(tally.at, tally.queue) for tally in read(rig)]
    assert found == [(START + at, queue) for at in (0, MINUTE) for queue in ("B", "a", "b", "ü' %")]


def test_larger_steps_add_up_and_begin_at_multiples_of_their_length(rig: Rig) -> None:
    rig.advance(-START % (5 * MINUTE) + 3 * MINUTE)
    begin = rig.now // (5 * MINUTE) * 5 * MINUTE
    for _ in range(4):
        add(rig, completed=1)
        add(rig, "other", cancelled=1)
        rig.advance(MINUTE)
    assert read(rig, step=5 * MINUTE) == [
        Tally(queue="default", completed=2, at=begin),
        Tally(queue="other", cancelled=2, at=begin),
        Tally(queue="default", completed=2, at=begin + 5 * MINUTE),
        Tally(queue="other", cancelled=2, at=begin + 5 * MINUTE),
    ]


def test_what_is_older_than_the_span_is_left_out_and_the_first_step_is_whole(rig: Rig) -> None:
    for number in range(1, 11):
        add(rig, completed=number)
        rig.advance(MINUTE)
    assert [tally.completed for tally in read(rig, 3 * MINUTE)] == [8, 9, 10]
    assert [tally.completed for tally in read(rig, 3 * MINUTE + 1)] == [7, 8, 9, 10]
    assert [tally.completed for tally in read(rig, MINUTE, step=5 * MINUTE)] == [6 + 7 + 8 + 9 + 10]
    assert [tally.completed for tally in read(rig, HOUR)] == list(range(1, 11))


def test_steps_without_anything_are_left_out(rig: Rig) -> None:
    add(rig)
    assert read(rig) == []
    rig.advance(5 * MINUTE)
    add(rig, completed=1)
    assert [tally.at for tally in read(rig)] == [START + 5 * MINUTE]


def test_another_process_adds_to_the_same(rig: Rig) -> None:
    add(rig, completed=1)
    if rig.traits.shared:
        rig.run(rig.another_store().tallies.add([Tally(queue="default", completed=1)]))
        assert read(rig) == [Tally(queue="default", completed=2, at=START)]


def test_many_that_add_at_once_lose_nothing(rig: Rig) -> None:
    rig.run_together([rig.store.tallies.add([Tally(queue=queue, completed=1)]) for queue in "ab" * 10])
    assert read(rig) == [Tally(queue=queue, completed=10, at=START) for queue in "ab"]


def test_pruning_forgets_what_is_too_old(rig: Rig) -> None:
    add(rig, completed=1)
    rig.advance(MINUTE)
    add(rig, completed=2)
    rig.advance(TALLIES_KEPT - MINUTE)
    rig.run(rig.store.prune())
    assert [tally.completed for tally in read(rig, TALLIES_KEPT)] == [2]
    rig.advance(MINUTE)
    rig.run(rig.store.prune())
    assert read(rig, TALLIES_KEPT) == []
