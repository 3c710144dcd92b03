"""Stores that are driven together with the memory store, and must say the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from stoker.connect import connect
from stoker.drivers.driver import Driver
from stoker.job import FINAL, LIVE, LONGEST_LOG, TRANSITIONS, Claim, Job, Outcome, Progress, State
from stoker.plan import Plan
from stoker.store import Census, Exchanged, Page, Store

EVERYTHING = Page(limit=1_000_000)


class Side:
    """One of the stores, with its own numbers for the jobs."""

    def __init__(self, store: Store, driver: Driver) -> None:
        self.store = store
        self.driver = driver
        self.refs: dict[int, str] = {}
        """ids of the jobs that were claimed, by this store's own refs"""
        self.run(store.migrate())

    def run(self, plan: Plan[Any]) -> Any:
        return self.driver.run(plan)

    def exchange(self, *args: Any) -> tuple[list[Claim], Any]:
        """The claims as the store numbers them, and what can be compared of the answer."""
        answer: Exchanged = self.run(self.store.exchange(*args))
        self.refs |= {claim.ref: claim.id for claim in answer.claims}
        claims = [replace(claim, ref=0) for claim in answer.claims]
        refused = [self.refs.get(ref) for ref in answer.refused]
        return list(answer.claims), (claims, refused, answer.due_in, answer.alive)

    def named(self, claims: Sequence[tuple[int, int]]) -> list[tuple[str, int]]:
        """Claims by the ids of their jobs; a job that was restored while it ran has a ref that nobody was told."""
        return sorted((self.refs.get(ref, "restored"), fence) for ref, fence in claims)


class Pair:
    """The memory store and another one, on one clock."""

    def __init__(self, url: str) -> None:
        self.now = 1_767_225_600_000_000
        self.oracle = Side(*connect("memory://", lambda: self.now))
        self.other = Side(*connect(url, lambda: self.now))
        self.claims: list[tuple[Claim, Claim]] = []
        """every claim that ever was, as both stores number it"""
        self.jobs: dict[str, Job] = {}
        """the records as they were last seen"""

    def close(self) -> None:
        self.oracle.driver.close()
        self.other.driver.close()

    def ask(self, make: Callable[[Store], Plan[Any]]) -> Any:
        """Run one plan on both; they must answer the same."""
        expected = self.oracle.run(make(self.oracle.store))
        assert self.other.run(make(self.other.store)) == expected
        return expected

    def exchange(self, worker: str, outcomes: Sequence[tuple[tuple[Claim, Claim], dict[str, Any]]], *how: Any) -> None:
        mine, expected = self.oracle.exchange(worker, [_outcome(pair[0], facts) for pair, facts in outcomes], *how)
        theirs, answer = self.other.exchange(worker, [_outcome(pair[1], facts) for pair, facts in outcomes], *how)
        assert answer == expected
        self.claims += zip(mine, theirs, strict=True)

    def heartbeat(
        self, worker: str, reports: Sequence[tuple[tuple[Claim, Claim], tuple[Any, ...]]], lease: int | None
    ) -> None:
        orders = []
        for index, side in enumerate((self.oracle, self.other)):
            progress = [
                Progress(pair[index].ref, pair[index].fence, *words, spelt(log)) for pair, (*words, log) in reports
            ]
            answer = side.run(side.store.heartbeat(worker, progress, lease))
            orders.append((answer.alive, side.named(answer.cancel), answer.command))
        assert orders[0] == orders[1]

    def hear(self, worker: str) -> None:
        orders = []
        for side in (self.oracle, self.other):
            answer = side.run(side.store.hear(worker))
            orders.append((answer.alive, side.named(answer.cancel), answer.command))
        assert orders[0] == orders[1]

    # --- what must always hold --------------------------------------------------------------------------------------

    def compare(self, moves: int) -> None:
        """Both hold the same records, and since the last time every job made at most so many moves of the table."""
        found = self.ask(lambda store: store.find(page=EVERYTHING))
        for job in found:
            assert (job.finished_at is not None) == (job.state in FINAL)
            assert not job.cancel_requested or job.state is State.PROCESSING
            before = self.jobs.get(job.id)
            if before is not None:
                assert job.state in _reachable(before.state, moves), f"{before.state} → {job.state}"
                assert job.fence >= before.fence
                assert job.meta == before.meta
                assert (job.args, job.kwargs) == (before.args, before.kwargs) or not before.attempt  # by debounce
                assert job.parents[: len(before.parents)] == before.parents
                assert (job.state is State.WAITING) == bool(job.open_parents)
                assert job.errors[: len(before.errors)] == before.errors
        keys = [job.key for job in found if job.key is not None and job.state in LIVE]
        assert len(keys) == len(set(keys))
        self.jobs = {job.id: job for job in found}

    def in_order(self) -> bool:
        """Whether jobs were inserted in the order of their ids: some stores go by the one, some by the other."""
        inserted = list(self.oracle.store._shelf.by_id)
        return inserted == sorted(inserted)

    def compare_census(self) -> None:
        census = [side.run(side.store.census()) for side in (self.oracle, self.other)]
        assert _plain(census[0]) == _plain(census[1])


def _plain(census: Census) -> Any:
    return list(census.queues), list(census.workers)


def _outcome(claim: Claim, facts: dict[str, Any]) -> Outcome:
    return Outcome(claim.ref, claim.fence, **facts | {"log": spelt(facts.get("log"))})


def spelt(log: str | None) -> str | None:
    """What is logged; a long log is named only, so that what Hypothesis prints can be read."""
    return "x" * (LONGEST_LOG - 1) if log == "LONG" else log


def _reachable(state: State, moves: int) -> set[State]:
    reached = {state}
    for _ in range(moves):
        reached |= {after for before in reached for after in TRANSITIONS[before]}
    return reached
