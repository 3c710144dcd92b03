"""The routes of workflows."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from stoker.web.asking import Paging, page_of
from stoker.web.bodies import Counted, Reason
from stoker.web.desk import Desk
from stoker.web.operation import Operation
from stoker.web.reach import reach_of
from stoker.web.reply import reply
from stoker.workflow_record import WorkflowRecord


class FromStep(Struct, forbid_unknown_fields=True):
    """From where on a workflow is retried."""

    step: str | None = None
    """the id of the step's job: that one and those after it; null: all"""


class WorkflowPage(Struct):
    """Some workflows, newest first."""

    workflows: list[WorkflowRecord]
    next: str | None
    """what to give as `before` for the next page, which may be empty and still not the last; null: there is none"""


class WorkflowRoutes:
    """`/workflows` and what is below it. Their jobs are `/jobs?workflow=ID`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="GET",
                path="/workflows",
                handler=self.list,
                summary="A page of workflows, newest first; for others than admins those that are wholly theirs.",
                query=Paging,
                answer=WorkflowPage,
            ),
            Operation(
                method="GET",
                path="/workflows/{id}",
                handler=self.read,
                summary="How a workflow stands.",
                answer=WorkflowRecord,
            ),
            Operation(
                method="POST",
                path="/workflows/{id}/cancel",
                handler=self.cancel,
                summary="Cancel all of its jobs that have not ended.",
                body=Reason,
                answer=Counted,
            ),
            Operation(
                method="POST",
                path="/workflows/{id}/retry",
                handler=self.retry,
                summary="Retry its jobs that failed or were cancelled, all of them or from a step on.",
                body=FromStep,
                answer=Counted,
            ),
        ]

    async def list(self, request: Request) -> Response:
        """A page of workflows."""
        records, after = await reach_of(request).workflows(page_of(request.query_params))
        return reply({"workflows": records, "next": after})

    async def read(self, request: Request) -> Response:
        """How a workflow stands."""
        return reply(await reach_of(request).workflow(request.path_params["id"]))

    async def cancel(self, request: Request, said: Reason) -> Response:
        """Cancel what has not ended."""
        acts = self._desk.acts(reach_of(request))
        return reply(Counted(await acts.cancel_workflow(request.path_params["id"], said.reason)))

    async def retry(self, request: Request, said: FromStep) -> Response:
        """Retry what failed or was cancelled."""
        acts = self._desk.acts(reach_of(request))
        return reply(Counted(await acts.retry_workflow(request.path_params["id"], said.step)))
