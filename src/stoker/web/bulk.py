"""The routes that change many jobs at once."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from stoker.store import Action, Filter
from stoker.web.asking import Conditions
from stoker.web.bodies import Counted
from stoker.web.desk import Desk
from stoker.web.operation import Handler, Operation
from stoker.web.problem import Problem
from stoker.web.reach import reach_of
from stoker.web.reply import reply


class Many(Struct, forbid_unknown_fields=True):
    """Which jobs, of those within reach."""

    filter: Conditions
    """at least one condition"""
    dry_run: bool = False
    """change nothing, and say how many it would be"""


class CancelMany(Many, forbid_unknown_fields=True):
    """Which jobs, and why."""

    reason: str | None = None


_PATIENCE: Final = 10.0
"""Seconds in which it must be known how many it would be."""
_SUMMARIES: Final = {
    Action.CANCEL: "Cancel all jobs that match and have not ended.",
    Action.RETRY: "Queue all jobs again that match and failed or were cancelled.",
    Action.DELETE: "Delete all jobs that match, but those that a living worker runs.",
}


class BulkRoutes:
    """`/jobs/cancel`, `/jobs/retry`, `/jobs/delete`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="POST",
                path=f"/jobs/{action.value}",
                handler=self._changing(action),
                summary=summary,
                body=CancelMany if action is Action.CANCEL else Many,
                answer=Counted,
            )
            for action, summary in _SUMMARIES.items()
        ]

    def _changing(self, action: Action) -> Handler:
        async def change(request: Request, said: Many) -> Response:
            which = said.filter.filter
            if which == Filter():
                raise Problem(422, "invalid-filter", f"{action.value} which jobs? give at least one condition")
            reason = said.reason if isinstance(said, CancelMany) else None
            reach = reach_of(request)
            if said.dry_run:
                return reply(Counted(await self._desk.answers.ask(reach.eligible(which, action), _PATIENCE)))
            return reply(Counted(await self._desk.acts(reach).amend(which, action, reason)))

        return change
