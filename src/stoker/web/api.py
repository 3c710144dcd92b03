"""All of the HTTP API: its routes, and the document that describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from stoker.web.bulk import BulkRoutes
from stoker.web.desk import Desk
from stoker.web.health import HealthRoutes
from stoker.web.jobs import JobRoutes
from stoker.web.metrics import MetricRoutes
from stoker.web.mount import mount_of
from stoker.web.openapi import document
from stoker.web.operation import Operation, routes_of
from stoker.web.queues import QueueRoutes
from stoker.web.reply import reply
from stoker.web.schedules import ScheduleRoutes
from stoker.web.stats import StatRoutes
from stoker.web.streams import StreamRoutes
from stoker.web.workers import WorkerRoutes
from stoker.web.workflows import WorkflowRoutes


class Api:
    """The operations of every family, in one place."""

    def __init__(self, desk: Desk) -> None:
        families = (BulkRoutes, JobRoutes, QueueRoutes, ScheduleRoutes, WorkflowRoutes, WorkerRoutes, StatRoutes)
        self._max_body = desk.config.max_body
        self._streams = StreamRoutes(desk)
        self._described = Operation(
            method="GET",
            path="/openapi.json",
            handler=self.describe,
            summary="This document.",
            answer=dict[str, Any],
        )
        self.operations: Sequence[Operation] = [
            *(one for family in (*families, HealthRoutes, MetricRoutes) for one in family(desk).operations),
            *self._streams.operations,
            self._described,
        ]

    @property
    def routes(self) -> list[BaseRoute]:
        """To be put together with others."""
        return [*routes_of(self.operations, self._max_body), *self._streams.routes]

    async def describe(self, request: Request) -> Response:
        """The OpenAPI document."""
        return reply({**self._document, "servers": [{"url": mount_of(request) or "/"}]})

    @cached_property
    def _document(self) -> Mapping[str, Any]:
        return document(self.operations)
