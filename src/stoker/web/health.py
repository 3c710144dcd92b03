"""The routes that machines ask: does this process work, can it be given requests. They say nothing of anybody."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from stoker.errors import StoreUnavailable, TookTooLong
from stoker.web.answers import Answers
from stoker.web.desk import Desk
from stoker.web.operation import Access, Operation
from stoker.web.problem import LATER, Problem
from stoker.web.reply import reply

_WITHIN: Final = 2.0
"""Seconds in which the store must answer."""


class Health(Struct):
    """All is well."""

    status: str = "ok"


class HealthRoutes:
    """`/health/live` and `/health/ready`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._answers = Answers(desk.app.engine)  # its own: no search by anybody makes this server look dead

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="GET",
                path="/health/live",
                handler=self.live,
                summary="Whether the workers of this process, if it has any, make progress.",
                access=Access.ALL,
                answer=Health,
                refuses={503: "a worker of this process makes no progress"},
            ),
            Operation(
                method="GET",
                path="/health/ready",
                handler=self.ready,
                summary="Whether the store answers within 2 s.",
                access=Access.ALL,
                answer=Health,
                refuses={503: "it does not, or it is yet to be migrated"},
            ),
        ]

    async def live(self, _: Request) -> Response:
        """Whether this process makes progress: its event loop does if this is answered, and so do its workers.

        A store that is down does not count: workers go on trying, and no restart would bring it back.
        """
        for worker in self._desk.app.at_work:
            if stuck := worker.stuck:
                raise Problem(503, "not-alive", stuck, headers=LATER)
        return reply(Health())

    async def ready(self, _: Request) -> Response:
        """Whether the store answers."""
        try:
            async with asyncio.timeout(_WITHIN):
                waiting = await self._waiting_migrations()
        except (TimeoutError, TookTooLong):
            raise StoreUnavailable(f"the store did not answer within {_WITHIN:g} s") from None
        if waiting:
            raise Problem(503, "not-migrated", "the store is yet to be migrated: stoker migrate", headers=LATER)
        return reply(Health())

    async def _waiting_migrations(self) -> list[str]:
        return await self._answers.ask(self._desk.app.engine.connection.store.pending(), _WITHIN)
