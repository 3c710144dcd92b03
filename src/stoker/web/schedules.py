"""The routes of schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from stoker.schedule_record import ScheduleRecord
from stoker.timing.definition import Misfire, Overlap
from stoker.web.acts import Acts
from stoker.web.arguments import fitted
from stoker.web.bodies import Nothing
from stoker.web.desk import Desk
from stoker.web.mount import mount_of
from stoker.web.operation import Access, Operation
from stoker.web.reach import reach_of
from stoker.web.reply import reply

_Short = Annotated[str, Meta(max_length=500)]


class NewSchedule(Struct, forbid_unknown_fields=True, kw_only=True):
    """When to enqueue a task, and with what."""

    expression: _Short
    """cron or plain English"""
    task: _Short
    name: _Short | None = None
    """null: the task's"""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    tz: _Short | None = None
    """a time zone's name; null: UTC"""
    jitter: float = 0.0
    """seconds"""
    start: datetime | None = None
    end: datetime | None = None
    misfire: Misfire = Misfire.ONE
    """what becomes of ticks that were missed: `one` job for all, `all`, or `skip`"""
    overlap: Overlap = Overlap.ALLOW
    """while an earlier one's job is unfinished: `allow` or `skip`"""
    run_on_start: bool = False
    options: Mapping[str, Any] = {}
    """of its jobs, as `task.using` takes them"""


class Schedules(Struct):
    """All schedules, by name."""

    schedules: list[ScheduleRecord]


class Made(Struct):
    """A job that was made."""

    job: str
    """its id"""


class ScheduleRoutes:
    """`/schedules` and what is below it, for admins."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="GET",
                path="/schedules",
                handler=self.list,
                summary="All schedules: those in the store, and those that are declared here.",
                access=Access.ADMINS,
                answer=Schedules,
            ),
            Operation(
                method="POST",
                path="/schedules",
                handler=self.add,
                summary="Make a schedule, or change the one that was made here under its name.",
                access=Access.ADMINS,
                body=NewSchedule,
                status=201,
                answer=ScheduleRecord,
                tells={"location": "where it is"},
                refuses={404: "this app has no such task"},
            ),
            Operation(
                method="GET",
                path="/schedules/{name:path}",
                handler=self.read,
                summary="One schedule.",
                access=Access.ADMINS,
                answer=ScheduleRecord,
            ),
            Operation(
                method="DELETE",
                path="/schedules/{name:path}",
                handler=self.remove,
                summary="Forget a schedule. One that is declared comes back with the next start of a scheduler.",
                access=Access.ADMINS,
                status=204,
            ),
            Operation(
                method="POST",
                path="/schedules/{name:path}/pause",
                handler=self.pause,
                summary="Let it fire no more until it is resumed.",
                access=Access.ADMINS,
                body=Nothing,
                answer=ScheduleRecord,
            ),
            Operation(
                method="POST",
                path="/schedules/{name:path}/resume",
                handler=self.resume,
                summary="Let it fire again, from now on.",
                access=Access.ADMINS,
                body=Nothing,
                answer=ScheduleRecord,
            ),
            Operation(
                method="POST",
                path="/schedules/{name:path}/run",
                handler=self.run,
                summary="Enqueue its job once more, now.",
                access=Access.ADMINS,
                body=Nothing,
                status=202,
                answer=Made,
                tells={"location": "where the job's record is"},
            ),
        ]

    async def list(self, _: Request) -> Response:
        """All schedules."""
        found = await self._desk.app.schedules.alist()
        return reply(Schedules([self._desk.presenter.schedule(record) for record in found]))

    async def read(self, request: Request) -> Response:
        """One schedule."""
        return self._record(await self._desk.app.schedules.aget(_name(request)))

    async def add(self, request: Request, said: NewSchedule) -> Response:
        """Make a schedule."""
        task = self._desk.app.registry.find(said.task)
        args, kwargs = fitted(task, said.args, said.kwargs)
        options = {**asdict(said), "args": args, "kwargs": kwargs}
        del options["expression"], options["task"]
        made = await self._acts(request).save_schedule(said.expression, task.name, options)
        return self._record(made, 201, {"location": f"{mount_of(request)}/schedules/{quote(made.name, safe='')}"})

    async def pause(self, request: Request, _: Nothing) -> Response:
        """Let it fire no more."""
        return self._record(await self._acts(request).pause_schedule(_name(request)))

    async def resume(self, request: Request, _: Nothing) -> Response:
        """Let it fire again."""
        return self._record(await self._acts(request).resume_schedule(_name(request)))

    async def run(self, request: Request, _: Nothing) -> Response:
        """Enqueue its job once more."""
        job = await self._acts(request).run_schedule(_name(request))
        return reply(Made(job), 202, {"location": f"{mount_of(request)}/jobs/{job}"})

    async def remove(self, request: Request) -> Response:
        """Forget it."""
        await self._acts(request).remove_schedule(_name(request))
        return Response(status_code=204)

    def _acts(self, request: Request) -> Acts:
        return self._desk.acts(reach_of(request))

    def _record(self, record: ScheduleRecord, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
        return reply(self._desk.presenter.schedule(record), status, headers)


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    return name
