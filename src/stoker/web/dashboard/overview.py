"""The first page: how all stands, or, for an owner, how their own jobs stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct

from stoker import clock
from stoker.errors import TookTooLong
from stoker.job import Job, State
from stoker.plan import Plan
from stoker.standing import alive
from stoker.store import Filter, QueueInfo
from stoker.store import Page as Window
from stoker.tally_store import MINUTE, Tally
from stoker.web.dashboard import charts
from stoker.web.dashboard.page import Facts, Page, Post, Tab
from stoker.web.dashboard.visit import Visit
from stoker.web.desk import Desk

T = TypeVar("T")

_RECENT: Final = 5
"""Whole minutes over which the present throughput is taken."""
_FAILURES: Final = 8
_RUNNING: Final = 8
_QUEUES: Final = 12
_WORKERS: Final = 12


class Pulse(Struct, frozen=True):
    """How much is done, as people ask for it first."""

    per_minute: float
    """attempts that ended in the last whole minutes, on average"""
    failed: int
    """jobs that failed in the last hour"""
    share: float | None
    """of all jobs that ended in the last hour, those that failed; None: none ended"""


class Overview:
    """How all stands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        return [Page(path="/", template="overview.html", facts=self._facts, tab=Tab("Overview", "overview", "o"))]

    @property
    def posts(self) -> Sequence[Post]:
        """Nothing is done here."""
        return []

    async def _facts(self, visit: Visit) -> Facts:
        whole = visit.identity.admin
        reach = visit.reach
        own = await self._of(visit, "failures", lambda: reach.find(Filter(states=(State.FAILED,)), Window(_FAILURES)))
        facts = {"failures": self._shown(visit, own), "whole": whole}
        return facts | (await self._everything() if whole else await self._own(visit))

    async def _everything(self) -> dict[str, Any]:
        numbers, now = self._desk.numbers, clock.now()
        totals = await in_time(numbers.totals())
        census = await in_time(numbers.census())
        in_hour = await in_time(numbers.last_hour())
        in_day = await in_time(numbers.last_day())
        queues = census.queues if census is not None else ()
        return {
            "counts": None if totals is None else {state.value: totals.counts.get(state, 0) for state in State},
            "estimated": totals is not None and totals.estimated,
            "census": census,
            "queues": by_depth(queues)[:_QUEUES],
            "deepest": max((depth(queue) for queue in queues), default=0),
            "oldest": max((queue.oldest for queue in queues if queue.oldest is not None), default=None),
            "workers": (census.workers if census is not None else ())[:_WORKERS],
            "living": [worker for worker in census.workers if alive(worker, now)] if census is not None else None,
            "pulse": None if in_hour is None else pulse(in_hour, now),
            "recent": _RECENT,
            "charts": [
                ("Last hour", None if in_hour is None else charts.hour(in_hour, now)),
                ("Last day", None if in_day is None else charts.day(in_day, now)),
            ],
        }

    async def _own(self, visit: Visit) -> dict[str, Any]:
        reach = visit.reach
        counts = await self._of(visit, "counts", reach.counting)
        running = await self._of(
            visit, "running", lambda: reach.find(Filter(states=(State.PROCESSING,)), Window(_RUNNING))
        )
        return {
            "counts": None if counts is None else {state.value: counts.get(state.value, 0) for state in State},
            "estimated": False,
            "running": self._shown(visit, running),
        }

    async def _of(self, visit: Visit, name: str, plan: Callable[[], Plan[T]]) -> T | None:
        """What this identity reaches; of two identities, nobody gets the other's answer."""
        return await in_time(self._desk.answers.kept((name, visit.identity), plan))

    def _shown(self, visit: Visit, jobs: Sequence[Job] | None) -> Sequence[Mapping[str, Any]] | None:
        return None if jobs is None else [self._desk.presenter.job(job, visit.identity) for job in jobs]


async def in_time(answer: Awaitable[T]) -> T | None:
    """The answer, or None where it takes too long now."""
    try:
        return await answer
    except TookTooLong:
        return None


def depth(queue: QueueInfo) -> int:
    """Jobs that are due or run."""
    return queue.queued + queue.processing


def by_depth(queues: Sequence[QueueInfo]) -> list[QueueInfo]:
    """The deepest first; paused ones before others of the same depth."""
    return sorted(queues, key=lambda queue: (-depth(queue), not queue.paused, queue.name))


def pulse(tallies: Sequence[Tally], now: int) -> Pulse:
    """What the tallies of the last hour say in three numbers."""
    this = now // MINUTE * MINUTE
    recent = sum(
        tally.completed + tally.failed + tally.retried
        for tally in tallies
        if this - _RECENT * MINUTE <= tally.at < this
    )
    failed = sum(tally.failed for tally in tallies)
    ended = failed + sum(tally.completed for tally in tallies)
    return Pulse(recent / _RECENT, failed, failed / ended if ended else None)
