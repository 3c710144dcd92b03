"""The routes of single jobs: enqueue, read, list, cancel, retry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from stoker.call import Call
from stoker.job import Inserted, Job, Log, NewJob, State
from stoker.options import Options
from stoker.store import Action
from stoker.task import Task
from stoker.web.arguments import fitted
from stoker.web.asking import Listing, filter_of, page_of
from stoker.web.bodies import Nothing, Reason
from stoker.web.desk import Desk
from stoker.web.idempotency import contradicts, guarded
from stoker.web.identity import Identity
from stoker.web.mount import mount_of
from stoker.web.operation import Access, Operation
from stoker.web.pieces import ROOM, pieces
from stoker.web.present import encoded, stored_key
from stoker.web.problem import Problem
from stoker.web.reach import reach_of
from stoker.web.reply import reply


class Enqueue(Struct, forbid_unknown_fields=True):
    """A request to run a task."""

    task: str
    """an exposed one: its name, or the end of it after a dot"""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    """as `task.using` takes them; others than admins may give some only. `run_at` is a time with its zone"""


class Expiry(Struct, forbid_unknown_fields=True):
    """For how long a token is good."""

    expires: float = 3600.0
    """seconds"""


class JobPage(Struct):
    """Some records, newest first."""

    jobs: list[Job]
    next: str | None
    """what to give as `before` for the next page; null: there is none"""


class Logs(Struct):
    """What the attempts of a job logged, oldest first."""

    logs: list[Log]


class Token(Struct):
    """Lets whoever has it follow one job: in `?token=`, or as a bearer."""

    token: str


class JobRoutes:
    """`/jobs` and what is below it, but for streams and for many at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="POST",
                path="/jobs",
                handler=self.enqueue,
                summary="Enqueue an exposed task.",
                headers={
                    "idempotency-key": "a repeated request with the same key is answered with the first one's job"
                },
                body=Enqueue,
                status=202,
                answer=Job,
                tells={
                    "location": "where the job's record is",
                    "idempotency-replayed": "true: another request has made the job",
                },
                refuses={
                    404: "no task of that name may be enqueued here",
                    409: "another owner's job stands in its place",
                },
            ),
            Operation(
                method="GET",
                path="/jobs",
                handler=self.list,
                summary="A page of records, newest first; fewer than `limit` where they are large.",
                query=Listing,
                answer=JobPage,
            ),
            Operation(
                method="GET",
                path="/jobs/{id}",
                handler=self.read,
                summary="The record of one job.",
                access=Access.FOLLOWERS,
                answer=Job,
            ),
            Operation(
                method="GET",
                path="/jobs/{id}/logs",
                handler=self.logs,
                summary="What its attempts logged: of each the end, of the last ones.",
                answer=Logs,
            ),
            Operation(
                method="POST",
                path="/jobs/{id}/cancel",
                handler=self.cancel,
                summary="Cancel one job: it never starts, or is told to stop.",
                body=Reason,
                answer=Job,
                refuses={409: "it has ended otherwise"},
            ),
            Operation(
                method="POST",
                path="/jobs/{id}/retry",
                handler=self.retry,
                summary="Queue a failed or cancelled job again, with one attempt more.",
                body=Nothing,
                answer=Job,
                refuses={409: "it has not failed, or another unfinished job has its key"},
            ),
            Operation(
                method="POST",
                path="/jobs/{id}/token",
                handler=self.token,
                summary="A token with which a browser can follow this one job.",
                body=Expiry,
                answer=Token,
            ),
        ]

    async def read(self, request: Request) -> Response:
        """The record of one job."""
        return self._record(request, await reach_of(request).job(request.path_params["id"]))

    async def list(self, request: Request) -> Response:
        """A page of records; `next` is what to give as `before` for the one after it. Large ones make it shorter."""
        reach = reach_of(request)
        identity = reach.who
        page = page_of(request.query_params)
        more = replace(page, limit=page.limit + 1)
        which, ask = filter_of(request.query_params), self._desk.answers.ask
        shown: list[msgspec.Raw] = []
        after, size = None, 0
        async for job in pieces(lambda piece, within: ask(reach.find(which, piece), within), more, _PATIENCE):
            if len(shown) == page.limit or size >= ROOM:
                return reply({"jobs": shown, "next": after})
            record = encoded(self._desk.presenter.job(job, identity))
            shown.append(msgspec.Raw(record))
            after, size = job.id, size + len(record)
        return reply({"jobs": shown, "next": None})

    async def logs(self, request: Request) -> Response:
        """What the attempts of one job logged; a token is not enough for that."""
        reach = reach_of(request)
        job = await reach.own_job(request.path_params["id"])
        return reply(Logs(await reach.logs(job)))

    async def cancel(self, request: Request, said: Reason) -> Response:
        """Cancel one job. Asked twice, it is cancelled once."""
        return await self._amend(request, Action.CANCEL, said.reason)

    async def retry(self, request: Request, _: Nothing) -> Response:
        """Queue a failed or cancelled job again."""
        return await self._amend(request, Action.RETRY)

    async def _amend(self, request: Request, action: Action, reason: str | None = None) -> Response:
        reach, id = reach_of(request), request.path_params["id"]
        changed = await self._desk.acts(reach).amend_one(id, action, reason)
        job = await reach.job(id)
        if changed:
            return self._record(request, job)
        if action is not Action.CANCEL or not (job.cancel_requested or job.state is State.CANCELLED):
            raise Problem(409, f"cannot-{action.value}", f"a job that is {job.state.value} cannot be {_DONE[action]}")
        return self._record(request, job)

    async def token(self, request: Request, said: Expiry) -> Response:
        """A token with which a browser can follow this one job."""
        reach, id = reach_of(request), request.path_params["id"]
        await reach.own_job(id)  # a token is not to be prolonged by itself
        return reply(Token(await self._desk.app.jobs.handle(id).atoken(said.expires)))

    # --- enqueue ----------------------------------------------------------------------------------------------------

    async def enqueue(self, request: Request, said: Enqueue) -> Response:
        """Enqueue an exposed task. With an Idempotency-Key, a repeated request is answered with the first one's job."""
        reach = reach_of(request)
        call = self._call(said, reach.who)
        engine = self._desk.app.engine
        engine.check_importable(call)
        new = call.new_job(engine.new_ids())
        key = request.headers.get("idempotency-key")
        if key is not None:
            new = guarded(new, key, reach.who)
        [inserted] = await engine.ainsert_jobs([new])
        job = await self._made(inserted, new, reach.who)
        if key is not None and not inserted.created and contradicts(job, new):
            raise Problem(
                422, "idempotency-key-reused", "this Idempotency-Key was used for another request; choose a new one"
            )
        told = {
            "location": f"{mount_of(request)}/jobs/{job.id}",
            "idempotency-replayed": "false" if inserted.created else "true",
        }
        return self._record(request, job, 202, told)

    def _call(self, said: Enqueue, identity: Identity) -> Call:
        task = self._desk.app.registry.exposed(said.task)
        args, kwargs = fitted(task, said.args, said.kwargs)
        return Call(task, self._options(task, said, identity), args, kwargs)

    def _options(self, task: Task, said: Enqueue, identity: Identity) -> Options:
        options = dict(said.options)
        self._check_options(options, identity)
        chosen = task.options.using(options)
        if isinstance(chosen.key, str) and "key" in options:
            chosen = replace(chosen, key=stored_key(chosen.key, identity))
        return chosen

    def _check_options(self, options: dict[str, Any], identity: Identity) -> None:
        """Refuse what this identity may not say, and add what it need not say."""
        if isinstance(options.get("run_at"), str):
            options["run_at"] = _moment(options["run_at"])
        if identity.admin:
            if identity.owner is not None:
                options.setdefault("owner", identity.owner)
            return
        if options.get("owner", identity.owner) != identity.owner:
            raise Problem(403, "forbidden", "only admins enqueue jobs for other owners")
        allowed = self._desk.config.options
        if foreign := sorted(options.keys() - allowed - {"owner"}):
            known = ", ".join(sorted(allowed)) or "none"
            raise Problem(403, "forbidden", f"the option {foreign[0][:50]!r} cannot be given here; these can: {known}")
        options["owner"] = identity.owner

    async def _made(self, inserted: Inserted, new: NewJob, identity: Identity) -> Job:
        """The job that the insert made, or found in its place."""
        job = await self._desk.app.jobs.aget(inserted.id)
        if not inserted.created and not identity.reaches(job.owner):
            raise Problem(409, "in-place-of-another", "another request stands in this one's place; try again later")
        return job

    def _record(self, request: Request, job: Job, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
        return reply(self._desk.presenter.job(job, reach_of(request).identity), status, headers)


_PATIENCE: Final = 5.0
"""Seconds that a search may take."""
_DONE: Final = {Action.CANCEL: "cancelled", Action.RETRY: "retried"}


def _moment(text: str) -> datetime:
    try:
        moment: datetime = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise Problem(
            422, "invalid-option", f"run_at must be a time as 2026-01-31T08:30:00Z, not {text[:50]!r}"
        ) from None
    return moment
