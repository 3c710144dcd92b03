"""What a store promises of workflows as a whole, and of what jobs returned."""

from __future__ import annotations

from stoker.job import ParentFailure, State
from stoker.store import Flow, Page
from stoker.testing.conformance.rig import ALL, START, Rig, completed, failed


def flows(rig: Rig, *ids: str, **page: object) -> list[Flow]:
    """These workflows, or all."""
    return rig.run(rig.store.flows(list(ids) or None, Page(**{"limit": ALL} | page)))  # type: ignore[arg-type]


def test_there_are_none_at_first(rig: Rig) -> None:
    rig.enqueue()
    assert flows(rig) == []
    assert flows(rig, "w") == []


def test_a_workflow_is_what_its_jobs_tell(rig: Rig) -> None:
    first = rig.begin(workflow="w")
    rig.advance(5)
    rig.enqueue(workflow="w", parents=(first.id,))
    rig.enqueue(workflow="w")
    assert flows(rig, "w") == [
        Flow(
            id="w",
            counts={State.PROCESSING: 1, State.WAITING: 1, State.QUEUED: 1},
            created_at=START,
            updated_at=START + 5,
        )
    ]
    rig.advance(5)
    rig.settle(failed(first))
    (flow,) = flows(rig, "w")
    assert flow.counts == {State.FAILED: 1, State.CANCELLED: 1, State.QUEUED: 1}
    assert (flow.created_at, flow.updated_at) == (START, START + 10)


def test_every_state_is_counted(rig: Rig) -> None:
    for state in State:
        rig.make(state, workflow="w")
    (flow,) = flows(rig, "w")
    assert flow.counts == dict.fromkeys(State, 1)


def test_what_was_not_needed_does_not_count(rig: Rig) -> None:
    parent = rig.begin(workflow="w")
    alarm = rig.enqueue(workflow="w", parents=(parent.id,), on_parent_failure=ParentFailure.ONLY)
    assert flows(rig)[0].counts == {State.PROCESSING: 1, State.WAITING: 1}
    rig.settle(completed(parent))
    assert rig.state(alarm) is State.CANCELLED
    assert flows(rig)[0].counts == {State.COMPLETED: 1}
    rig.delete(parent.id)
    assert flows(rig)[0].counts == {}
    rig.delete(alarm)
    assert flows(rig) == []


def test_jobs_that_are_gone_count_no_more(rig: Rig) -> None:
    ids = [rig.enqueue(workflow="w") for _ in range(2)]
    rig.delete(ids[0])
    assert flows(rig, "w")[0].counts == {State.QUEUED: 1}
    rig.delete(ids[1])
    assert flows(rig) == []


def test_workflows_are_listed_newest_first_in_pages(rig: Rig) -> None:
    names = [f"w{number}" for number in range(5)]
    for name in names:
        rig.enqueue_many(2, workflow=name)
    assert [flow.id for flow in flows(rig)] == names[::-1]
    assert [flow.id for flow in flows(rig, limit=2)] == ["w4", "w3"]
    assert [flow.id for flow in flows(rig, limit=2, before="w3")] == ["w2", "w1"]
    assert [flow.id for flow in flows(rig, limit=2, after="")] == ["w0", "w1"]
    assert [flow.id for flow in flows(rig, limit=2, after="w1")] == ["w2", "w3"]
    assert [flow.id for flow in flows(rig, "w1", "none", "w3")] == ["w3", "w1"]


def test_results_by_id(rig: Rig) -> None:
    one, two, three = rig.begin(), rig.begin(), rig.begin()
    rig.settle(completed(one, '{"a":"ä"}'), completed(two, "null"), failed(three))
    running = rig.begin()
    wanted = [one.id, two.id, three.id, running.id, rig.new_id()]
    assert rig.run(rig.store.results(wanted)) == {one.id: '{"a":"ä"}', two.id: "null"}
    assert rig.run(rig.store.results([])) == {}


def test_many_results(rig: Rig) -> None:
    rig.enqueue_many(1500)
    rig.hire()
    claims = rig.claim()
    rig.settle(*(completed(claim, str(number)) for number, claim in enumerate(claims)))
    found = rig.run(rig.store.results([claim.id for claim in claims]))
    assert found == {claim.id: str(number) for number, claim in enumerate(claims)}
