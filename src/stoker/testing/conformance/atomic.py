"""Everything that a verb promises happens together or not at all. For stores that write to something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from stoker.job import Outcome, State, Verdict
from stoker.plan import Plan, Steps
from stoker.store import Action, Change, Filter, Routing, Want
from stoker.testing.conformance.rig import Rig, completed, verdict

T = TypeVar("T")


class Interruption(Exception):
    """What goes wrong in these tests."""


@pytest.fixture(autouse=True)
def _durable(rig: Rig) -> None:
    if not rig.traits.durable:
        pytest.skip("nothing can go wrong between the steps of a store that asks no database")


def interrupted(rig: Rig, plan: Plan[T], after: int | None = None) -> Plan[T]:
    """The plan, going wrong after that many statements, or (None) at its very end; or before that which is its end."""

    def recipe() -> Steps[T]:
        steps = plan.start()
        try:
            statement = next(steps)
            done = 0
            while done != after:
                if statement.alone and not rig.traits.undoes:
                    break
                # Not alone any more: something follows it.
                statement = steps.send((yield statement._replace(alone=False)))
                done += 1
        except StopIteration:
            pass
        finally:
            steps.close()
        raise Interruption

    return Plan(recipe, name=plan.name, writes=plan.writes, wakes=plan.wakes)


def mixed_outcomes(rig: Rig) -> list[Outcome]:
    claims = [rig.begin("holder", key=f"k{i}", queue=f"q{i}") for i in range(6)]
    kinds = [Verdict.COMPLETED, Verdict.FAILED, Verdict.RETRY, Verdict.RELEASED, Verdict.COMPLETED, Verdict.CRASHED]
    return [verdict(claim, kind, message="m") for claim, kind in zip(claims, kinds, strict=True)]


def insert(rig: Rig) -> Plan[object]:
    known = rig.enqueue(key="k")
    return rig.store.insert([rig.new(), rig.new(key="k"), rig.new(id=known), rig.new()])  # type: ignore[return-value]


def exchange(rig: Rig) -> Plan[object]:
    outcomes = mixed_outcomes(rig)
    rig.enqueue_many(3, queue="a")
    rig.enqueue_many(3, queue="b")
    routing = Routing(tasks=frozenset({"task"}))
    return rig.store.exchange("holder", outcomes, [Want("a", 1), Want(None, 3)], routing, 4)  # type: ignore[return-value]


def recover(rig: Rig) -> Plan[object]:
    for i in range(3):
        rig.begin(f"w{i}", max_crashes=i + 1)
    rig.lose("w0", "w1", "w2")
    return rig.store.recover()  # type: ignore[return-value]


def cancel(rig: Rig) -> Plan[object]:
    rig.make(State.QUEUED)
    rig.make(State.PROCESSING)
    return rig.store.amend(Filter(), Change(Action.CANCEL))  # type: ignore[return-value]


def prune(rig: Rig) -> Plan[object]:
    rig.make(State.COMPLETED, keep_for=0)
    return rig.store.prune()  # type: ignore[return-value]


def restore(rig: Rig) -> Plan[object]:
    rig.enqueue_many(3)
    jobs = rig.records()
    rig.delete()
    return rig.store.restore(jobs)  # type: ignore[return-value]


@pytest.mark.parametrize("verb", [insert, exchange, recover, cancel, prune, restore])
def test_a_verb_that_goes_wrong_halfway_did_nothing(rig: Rig, verb: Callable[[Rig], Plan[object]]) -> None:
    plan = verb(rig)
    before = (rig.records(), rig.run(rig.store.census()))
    for after in (1, 2, 3, 4, 5, None):
        with pytest.raises(Interruption):
            rig.run(interrupted(rig, plan, after))
        assert (rig.records(), rig.run(rig.store.census())) == before
    rig.run(plan)
    assert rig.records() != before[0]


def test_a_plan_that_goes_wrong_does_not_take_its_neighbours_along(rig: Rig) -> None:
    jobs = [rig.new() for _ in range(9)]
    plans = [rig.store.insert([job]) for job in jobs]
    bad = {2, 3, 7}
    results = rig.try_together([interrupted(rig, plan) if i in bad else plan for i, plan in enumerate(plans)])
    assert [isinstance(result, Interruption) for result in results] == [i in bad for i in range(9)]
    assert sorted(rig.find()) == [job.id for i, job in enumerate(jobs) if i not in bad]


def test_after_something_went_wrong_everything_goes_on(rig: Rig) -> None:
    claim = rig.begin()
    with pytest.raises(Interruption):
        rig.run(interrupted(rig, rig.store.exchange("worker", [completed(claim)])))
    assert rig.state(claim.id) is State.PROCESSING
    assert rig.settle(completed(claim)) == []
