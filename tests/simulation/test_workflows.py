"""Random graphs with random failures, crashes, retries and cancels: each step after its parents, nothing hangs.

Once everybody has stopped meddling, every job comes to the end that the ends of its parents and its policy demand.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import places
from stoker.clock import SECOND, IdSource
from stoker.connect import connect
from stoker.job import FINAL, Claim, Failure, Job, NewJob, Outcome, ParentFailure, State, Verdict
from stoker.plan import Plan
from stoker.store import Action, Change, Filter, Page, Routing, Want, Worker

WORKFLOW = Filter(workflow="w")
CALM = 400
"""Steps of a calm end, more than any graph needs."""

steps = st.lists(
    st.tuples(
        st.lists(st.integers(0, 30), max_size=4),
        st.sampled_from([ParentFailure.CANCEL] * 3 + [ParentFailure.RUN, ParentFailure.ONLY]),
        st.sampled_from(["completed"] * 4 + ["failed", "cancelled"]),
    ),
    min_size=1,
    max_size=14,
)
meddling = st.lists(
    st.one_of(
        st.tuples(st.just("work"), st.integers(1, 4), st.integers(0, 6)),
        st.tuples(st.just("crash"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("retry"), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 30), st.just(0)),
    ),
    max_size=25,
)


class Graph:
    """One workflow on one store, with workers that end its jobs as the plan says."""

    def __init__(self, url: str, shape: list[Any]) -> None:
        self.now = 1_767_225_600 * SECOND
        self.store, self.driver = connect(url, lambda: self.now)
        self.run(self.store.migrate())
        new_id = IdSource(lambda: self.now)
        ids = [new_id() for _ in shape]
        self.verdicts = {id: Verdict(verdict) for id, (_, _, verdict) in zip(ids, shape, strict=True)}
        self.plan = [
            NewJob(
                id=id,
                task="t",
                payload="[[],{}]",
                keep_for=0,
                max_crashes=1000,
                workflow="w",
                parents=tuple(dict.fromkeys(ids[pick % place] for pick in picks)) if place else (),
                on_parent_failure=policy,
            )
            for place, (id, (picks, policy, _)) in enumerate(zip(ids, shape, strict=True))
        ]
        self.ended: set[str] = set()
        self.held: list[Claim] = []
        self.workers = 0
        self.hire()
        self.run(self.store.insert(self.plan))

    def run(self, plan: Plan[Any]) -> Any:
        return self.driver.run(plan)

    def hire(self) -> None:
        self.workers += 1
        self.worker = f"worker {self.workers}"
        facts = Worker(id=self.worker, host="h", pid=1, version="1", concurrency=9)
        self.run(self.store.register(facts, 10**6 * SECOND))

    def jobs(self) -> dict[str, Job]:
        return {job.id: job for job in self.run(self.store.find(WORKFLOW, Page(limit=1000)))}

    def work(self, limit: int, left: int) -> None:
        """Claim some, and end all that are held but for so many."""
        done, self.held = self.held[left:], self.held[:left]
        outcomes = [self.outcome(claim) for claim in done]
        answer = self.run(
            self.store.exchange(self.worker, outcomes, [Want(None, limit)], Routing(frozenset({"t"})), limit)
        )
        records = self.look()
        for claim in answer.claims:
            assert self.ended.issuperset(records[claim.id].parents), "it was begun before its parents had ended"
        self.held += answer.claims

    def look(self) -> dict[str, Job]:
        """The records; what has ended once is remembered, for a person may retry it."""
        found = self.jobs()
        self.ended.update(id for id, job in found.items() if job.state in FINAL)
        return found

    def outcome(self, claim: Claim) -> Outcome:
        verdict = self.verdicts[claim.id]
        failure = Failure(attempt=1, type="E", message="no") if verdict is Verdict.FAILED else None
        result = "1" if verdict is Verdict.COMPLETED else None
        return Outcome(claim.ref, claim.fence, verdict, result=result, failure=failure)

    def crash(self) -> None:
        self.run(self.store.retire(self.worker))
        self.run(self.store.recover())
        self.held = []
        self.hire()

    def meddle(self, what: str, pick: int, more: int) -> None:
        self.now += SECOND
        self.look()
        target = Filter(ids=(self.plan[pick % len(self.plan)].id,)) if pick % 3 else WORKFLOW
        match what:
            case "work":
                self.work(pick, more)
            case "crash":
                self.crash()
            case "retry":
                self.run(self.store.amend(target, Change(Action.RETRY)))
            case "cancel":
                self.run(self.store.amend(target, Change(Action.CANCEL)))

    def end_calmly(self) -> None:
        """Nobody meddles any more: whatever can run runs, and then all has ended."""
        for _ in range(CALM):
            if all(job.state in FINAL for job in self.look().values()):
                return
            self.work(5, 0)
        raise AssertionError("it hangs")

    def begin_anew(self) -> None:
        """Everything is retried, from first to last, and every step completes this time."""
        self.verdicts = dict.fromkeys(self.verdicts, Verdict.COMPLETED)
        self.run(self.store.amend(WORKFLOW, Change(Action.RETRY)))
        self.end_calmly()

    def close(self) -> None:
        self.driver.close()


def demanded(graph: Graph, jobs: dict[str, Job]) -> None:
    """Hold each end against the ends of the parents, where nobody meddled."""
    for job in graph.plan:
        states = [jobs[parent].state for parent in job.parents]
        bad = any(state is not State.COMPLETED for state in states)
        own = State(graph.verdicts[job.id].value)
        match job.on_parent_failure if job.parents else ParentFailure.RUN:
            case ParentFailure.CANCEL:
                expected = State.CANCELLED if bad else own
            case ParentFailure.ONLY:
                expected = own if bad else State.CANCELLED
            case _:
                expected = own
        assert jobs[job.id].state is expected
        assert jobs[job.id].attempt == (0 if expected is State.CANCELLED and own is not State.CANCELLED else 1) or (
            own is State.CANCELLED
        )


@pytest.mark.parametrize("store", ["memory", "sqlite-normal"])
@given(shape=steps, acts=meddling)
@settings(deadline=None, max_examples=60)
def test_a_workflow_ends_whatever_is_done_to_it(store: str, shape: list[Any], acts: list[Any]) -> None:
    with ExitStack() as end:
        folder = end.enter_context(tempfile.TemporaryDirectory())
        graph = Graph(end.enter_context(places.fresh(store, Path(folder))), shape)
        end.callback(graph.close)
        for act in acts:
            graph.meddle(*act)
        graph.crash()
        graph.end_calmly()
        graph.begin_anew()
        left = [job for job in graph.jobs().values() if job.state is not State.COMPLETED]
        assert all(job.state is State.CANCELLED and job.on_parent_failure is not ParentFailure.RUN for job in left)


@pytest.mark.parametrize("store", ["memory", "sqlite-normal"])
@given(shape=steps, loads=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=20))
@settings(deadline=None, max_examples=60)
def test_every_end_is_what_the_parents_ends_demand(store: str, shape: list[Any], loads: list[Any]) -> None:
    with ExitStack() as end:
        folder = end.enter_context(tempfile.TemporaryDirectory())
        graph = Graph(end.enter_context(places.fresh(store, Path(folder))), shape)
        end.callback(graph.close)
        for limit, left in loads:
            graph.work(limit, left)
        graph.end_calmly()
        demanded(graph, graph.jobs())
