"""The route of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from stoker import clock
from stoker.clock import to_datetime
from stoker.job import State
from stoker.standing import alive
from stoker.tally_store import Tally
from stoker.web.desk import Desk
from stoker.web.numbers import HOUR
from stoker.web.operation import Operation
from stoker.web.queues import Queue, own_queues, shown
from stoker.web.reach import reach_of
from stoker.web.reply import reply


class Minute(Struct, kw_only=True):
    """How attempts of one queue ended in one minute."""

    at: datetime
    queue: str
    completed: int
    failed: int
    retried: int
    cancelled: int


class Stats(Struct, kw_only=True):
    """Jobs and queues in numbers. Others than admins are told of their own jobs only."""

    jobs: Mapping[State, int]
    """by state; states with none are left out"""
    queues: list[Queue]
    estimated: bool | UnsetType = UNSET
    """the numbers of finished jobs are a guess"""
    workers: int | UnsetType = UNSET
    """alive"""
    minutes: list[Minute] | UnsetType = UNSET
    """of the last hour, those in which something was done"""


class StatRoutes:
    """`/stats`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="GET",
                path="/stats",
                handler=self.read,
                summary="Jobs by state and queue; for admins, workers and what was done in the last hour as well.",
                answer=Stats,
            )
        ]

    async def read(self, request: Request) -> Response:
        """Jobs in numbers."""
        reach = reach_of(request)
        if reach.who.admin:
            return reply(await self._all())
        answers = self._desk.answers
        counts = {State(name): count for name, count in (await answers.ask(reach.counting())).items()}
        return reply(Stats(jobs=counts, queues=await own_queues(reach, answers)))

    async def _all(self) -> Stats:
        store, ask = self._desk.app.engine.connection.store, self._desk.answers.ask
        totals = await ask(store.totals())
        census = await ask(store.census())
        tallies = await ask(store.tallies.read(HOUR))
        now = clock.now()
        return Stats(
            jobs=totals.counts,
            estimated=totals.estimated,
            queues=[shown(queue) for queue in census.queues],
            workers=sum(alive(worker, now) for worker in census.workers),
            minutes=[_minute(tally) for tally in tallies],
        )


def _minute(tally: Tally) -> Minute:
    return Minute(
        at=to_datetime(tally.at),
        queue=tally.queue,
        completed=tally.completed,
        failed=tally.failed,
        retried=tally.retried,
        cancelled=tally.cancelled,
    )
