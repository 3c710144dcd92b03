"""The routes of workers."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from stoker import clock
from stoker.clock import to_datetime
from stoker.standing import alive
from stoker.store import Command, Worker
from stoker.web.acts import Telling
from stoker.web.bodies import Nothing
from stoker.web.desk import Desk
from stoker.web.operation import Access, Handler, Operation
from stoker.web.reach import reach_of
from stoker.web.reply import reply


class WorkerRecord(Struct, kw_only=True):
    """A worker process."""

    id: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    """empty: all"""
    tags: tuple[str, ...]
    concurrency: int
    running: int
    started_at: datetime
    seen_at: datetime
    """its last heartbeat"""
    lease_until: datetime
    alive: bool
    command: Command | None
    """what it was told last; null: to work"""


class Workers(Struct):
    """Workers that are alive, or whose jobs were not yet taken from them, by start."""

    workers: list[WorkerRecord]


class Told(Struct):
    """What a worker will hear within a second."""

    worker: str
    command: Command | None


class WorkerRoutes:
    """`/workers` and what is below it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        listing = Operation(
            method="GET",
            path="/workers",
            handler=self.list,
            summary="The worker processes.",
            access=Access.ADMINS,
            answer=Workers,
        )
        return [
            listing,
            self._telling("quiet", Command.QUIET, "Have a worker claim no more; what it runs goes on."),
            self._telling("wake", None, "Have a quiet worker claim again."),
            self._telling("stop", Command.STOP, "Have a worker stop, as a SIGTERM would."),
        ]

    def _telling(self, verb: Telling, command: Command | None, summary: str) -> Operation:
        return Operation(
            method="POST",
            path=f"/workers/{{id}}/{verb}",
            handler=self._tell(verb, command),
            summary=summary,
            access=Access.ADMINS,
            body=Nothing,
            answer=Told,
        )

    async def list(self, _: Request) -> Response:
        """The worker processes."""
        now = clock.now()
        return reply(Workers([shown(worker, now) for worker in await self._desk.app.workers.alist()]))

    def _tell(self, verb: Telling, command: Command | None) -> Handler:
        async def tell(request: Request, _: Nothing) -> Response:
            id = request.path_params["id"]
            await self._desk.acts(reach_of(request)).tell_worker(id, verb)
            return reply(Told(id, command))

        return tell


def shown(worker: Worker, now: int) -> WorkerRecord:
    """A worker as people read it."""
    return WorkerRecord(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        queues=worker.queues,
        tags=worker.tags,
        concurrency=worker.concurrency,
        running=worker.running,
        started_at=to_datetime(worker.started_at),
        seen_at=to_datetime(worker.seen_at),
        lease_until=to_datetime(worker.lease_until),
        alive=alive(worker, now),
        command=worker.command,
    )
