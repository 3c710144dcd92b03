"""What `Driver.ask` promises of questions that are answered in time."""

from __future__ import annotations

import pytest

from stoker.job import State
from stoker.plan import Plan, Steps
from stoker.store import Filter
from stoker.testing.conformance.rig import Rig

PLENTY = 60.0


def test_the_answer_is_what_any_reader_gets(rig: Rig) -> None:
    id = rig.make(State.FAILED)
    assert rig.ask(rig.store.find(Filter(ids=(id,))), PLENTY) == [rig.read(id)]
    assert rig.ask(rig.store.count(), PLENTY) == {"failed": 1}
    assert rig.ask(rig.store.totals(), PLENTY) == rig.run(rig.store.totals())
    assert rig.ask(rig.store.changes({id: 0}), PLENTY) == rig.run(rig.store.changes({id: 0}))


def test_what_is_committed_is_seen(rig: Rig) -> None:
    for number in range(5):
        assert rig.ask(rig.store.count(), PLENTY) == ({"queued": number} if number else {})
        rig.enqueue()


def test_a_plan_that_goes_wrong_says_so(rig: Rig) -> None:
    def steps() -> Steps[None]:
        yield from ()
        raise LookupError("as it should")

    with pytest.raises(LookupError, match="as it should"):
        rig.ask(Plan(steps, name="wrong", writes=False, wakes=False), PLENTY)
    assert rig.ask(rig.store.count(), PLENTY) == {}
