"""The routes of queues."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from stoker.job import LIVE
from stoker.queue_limit import rate_in
from stoker.store import Facet, Filter, QueueInfo, QueueLimit
from stoker.web.answers import Answers
from stoker.web.asking import queue_name
from stoker.web.bodies import Nothing
from stoker.web.desk import Desk
from stoker.web.operation import Access, Operation
from stoker.web.reach import Reach, reach_of
from stoker.web.reply import reply


class Allowed(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is let through a queue, across all processes; what is null or left out is unlimited."""

    concurrency: int | None = None
    """jobs at once"""
    rate: str | None = None
    """as `100/m`: per s, m, h or d"""
    fair: str | None = None
    """between whom jobs take turns: `owner`, or the argument that tasks name with `by` (shown as `share`)"""


class Queue(Struct, kw_only=True):
    """A queue, and how many unfinished jobs are in it. To others than admins it is told of their own jobs only."""

    name: str
    waiting: int = 0
    scheduled: int = 0
    queued: int = 0
    processing: int = 0
    paused: bool | UnsetType = UNSET
    limit: Allowed | UnsetType = UNSET
    oldest: float | None | UnsetType = UNSET
    """seconds since the first queued job was due"""


class Queues(Struct):
    """Queues by name."""

    queues: list[Queue]


class QueueRoutes:
    """`/queues` and what is below it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="GET",
                path="/queues",
                handler=self.list,
                summary="The queues as they stand; for others than admins, where their own unfinished jobs are.",
                answer=Queues,
            ),
            Operation(
                method="POST",
                path="/queues/{name:path}/pause",
                handler=self.pause,
                summary="Let no more jobs of the queue start. Running ones go on.",
                access=Access.ADMINS,
                body=Nothing,
                answer=Queue,
            ),
            Operation(
                method="POST",
                path="/queues/{name:path}/resume",
                handler=self.resume,
                summary="Let jobs of the queue start again.",
                access=Access.ADMINS,
                body=Nothing,
                answer=Queue,
            ),
            Operation(
                method="POST",
                path="/queues/{name:path}/limit",
                handler=self.limit,
                summary="Let so much through the queue from now on; what is not given is unlimited.",
                access=Access.ADMINS,
                body=Allowed,
                answer=Queue,
            ),
        ]

    async def list(self, request: Request) -> Response:
        """The queues as they stand."""
        reach = reach_of(request)
        if reach.who.admin:
            return reply(Queues([shown(queue) for queue in await self._desk.app.queues.alist()]))
        return reply(Queues(await own_queues(reach, self._desk.answers)))

    async def pause(self, request: Request, _: Nothing) -> Response:
        """Let no more jobs of a queue start."""
        name = queue_name(request.path_params["name"])
        await self._desk.acts(reach_of(request)).pause_queue(name)
        return await self._now(name)

    async def resume(self, request: Request, _: Nothing) -> Response:
        """Let jobs of a queue start again."""
        name = queue_name(request.path_params["name"])
        await self._desk.acts(reach_of(request)).resume_queue(name)
        return await self._now(name)

    async def limit(self, request: Request, said: Allowed) -> Response:
        """Let so much through a queue from now on."""
        name = queue_name(request.path_params["name"])
        await self._desk.acts(reach_of(request)).limit_queue(name, said.concurrency, said.rate, said.fair)
        return await self._now(name)

    async def _now(self, name: str) -> Response:
        queues = await self._desk.app.queues.alist()
        return reply(shown(next((queue for queue in queues if queue.name == name), QueueInfo(name=name))))


async def own_queues(reach: Reach, answers: Answers) -> list[Queue]:
    """Where the unfinished jobs within reach are."""
    found: dict[str, Queue] = {}
    for state in sorted(LIVE):
        for name, count in (await answers.ask(reach.counting(Filter(states=(state,)), Facet.QUEUE))).items():
            setattr(found.setdefault(name, Queue(name=name)), state.value, count)
    return [found[name] for name in sorted(found)]


def shown(queue: QueueInfo) -> Queue:
    """A queue as admins see it."""
    return Queue(
        name=queue.name,
        waiting=queue.waiting,
        scheduled=queue.scheduled,
        queued=queue.queued,
        processing=queue.processing,
        paused=queue.paused,
        limit=_allowed(queue.limit),
        oldest=queue.oldest,
    )


def _allowed(limit: QueueLimit) -> Allowed:
    return Allowed(
        concurrency=limit.concurrency,
        rate=rate_in(limit),
        fair=None if limit.fair is None else limit.fair.value,
    )
