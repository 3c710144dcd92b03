"""The routes of jobs: enqueue, read, list, cancel, retry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stoker.call import Call
from stoker.job import Inserted, Job, NewJob
from stoker.store import Action
from stoker.web.asking import document, filter_of, page_of
from stoker.web.desk import Desk, reach_of
from stoker.web.idempotency import guarded, is_replay
from stoker.web.identity import Identity
from stoker.web.present import encoded, stored_key
from stoker.web.problem import Problem

JSON = "application/json"


class Enqueue(Struct, forbid_unknown_fields=True):
    """A request to run a task."""

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}


class Reason(Struct, forbid_unknown_fields=True):
    """Why somebody cancels."""

    reason: str | None = None


class Expiry(Struct, forbid_unknown_fields=True):
    """For how long a token is good."""

    expires: float = 3600.0


class JobRoutes:
    """`/jobs` and what is below it, but for streams."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def routes(self) -> list[BaseRoute]:
        """To be put together with others."""
        return [
            Route("/jobs", self.enqueue, methods=["POST"]),
            Route("/jobs", self.list, methods=["GET"]),
            Route("/jobs/{id}", self.read, methods=["GET"]),
            Route("/jobs/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/jobs/{id}/retry", self.retry, methods=["POST"]),
            Route("/jobs/{id}/token", self.token, methods=["POST"]),
        ]

    async def read(self, request: Request) -> Response:
        """The record of one job."""
        return self._record(request, await reach_of(request).job(request.path_params["id"]))

    async def list(self, request: Request) -> Response:
        """A page of records, newest first; `next` is what to give as `before` for the one after it."""
        reach = reach_of(request)
        identity = reach.who
        page = page_of(request.query_params)
        found = await reach.jobs(filter_of(request.query_params), replace(page, limit=page.limit + 1))
        jobs = found[: page.limit]
        after = jobs[-1].id if len(found) > page.limit else None
        shown = [self._desk.presenter.job(job, identity) for job in jobs]
        return Response(encoded({"jobs": shown, "next": after}), headers=_PRIVATE, media_type=JSON)

    async def cancel(self, request: Request) -> Response:
        """Cancel one job: it never starts, or is told to stop."""
        said = await document(request, Reason, self._desk.config.max_body)
        return await self._amend(request, Action.CANCEL, said.reason)

    async def retry(self, request: Request) -> Response:
        """Queue a failed or cancelled job again."""
        await document(request, Reason, self._desk.config.max_body)
        return await self._amend(request, Action.RETRY)

    async def _amend(self, request: Request, action: Action, reason: str | None = None) -> Response:
        reach, id = reach_of(request), request.path_params["id"]
        changed = await reach.amend_one(id, action, reason)
        job = await reach.job(id)
        if not changed and not (action is Action.CANCEL and job.cancel_requested):
            raise Problem(409, f"cannot-{action.value}", f"a job that is {job.state.value} cannot be {_DONE[action]}")
        return self._record(request, job)

    async def token(self, request: Request) -> Response:
        """A token with which a browser can follow this one job."""
        reach, id = reach_of(request), request.path_params["id"]
        said = await document(request, Expiry, self._desk.config.max_body)
        if not reach.who.reaches((await reach.job(id)).owner):  # a token is not to be prolonged by itself
            raise Problem(403, "forbidden", "this job's owner makes its tokens")
        token = await self._desk.app.jobs.handle(id).atoken(said.expires)
        return Response(encoded({"token": token}), headers=_PRIVATE, media_type=JSON)

    # --- enqueue ----------------------------------------------------------------------------------------------------

    async def enqueue(self, request: Request) -> Response:
        """Enqueue an exposed task. With an Idempotency-Key, a repeated request is answered with the first one's job."""
        reach = reach_of(request)
        said = await document(request, Enqueue, self._desk.config.max_body)
        call = self._call(said, reach.who)
        engine = self._desk.app.engine
        engine.check_importable(call)
        new = call.new_job(engine.new_ids())
        key = request.headers.get("idempotency-key")
        if key is not None:
            new = guarded(new, key, reach.who)
        [answer] = await engine.ainsert_jobs([new])
        job = await self._made(answer, new, reach.who, idempotent=key is not None)
        where = f"{request.scope.get('root_path', '').rstrip('/')}/jobs/{job.id}"
        return self._record(request, job, 202, {"location": where, "idempotency-replayed": _flag(not answer.created)})

    def _call(self, said: Enqueue, identity: Identity) -> Call:
        task = self._desk.app.registry.exposed(said.task)
        options = dict(said.options)
        self._check_options(options, identity)
        if isinstance(options.get("key"), str):
            options["key"] = stored_key(options["key"], identity)
        if isinstance(options.get("run_at"), str):
            options["run_at"] = _moment(options["run_at"])
        if not identity.admin:
            options["owner"] = identity.owner
        elif identity.owner is not None:
            options.setdefault("owner", identity.owner)
        return Call(task, task.options.using(options), said.args, said.kwargs)

    def _check_options(self, options: Mapping[str, Any], identity: Identity) -> None:
        if identity.admin:
            return
        if options.get("owner", identity.owner) != identity.owner:
            raise Problem(403, "forbidden", "only admins enqueue jobs for other owners")
        allowed = self._desk.config.options
        if foreign := sorted(options.keys() - allowed - {"owner"}):
            known = ", ".join(sorted(allowed)) or "none"
            raise Problem(403, "forbidden", f"the option {foreign[0]!r} cannot be given here; these can: {known}")

    async def _made(self, answer: Inserted, new: NewJob, identity: Identity, *, idempotent: bool) -> Job:
        """The job that the insert made, or found in its place."""
        job = await self._desk.app.jobs.aget(answer.id)
        if answer.created:
            return job
        if not identity.reaches(job.owner):
            raise Problem(409, "in-place-of-another", "another request stands in this one's place; try again later")
        if idempotent and not is_replay(job, new):
            raise Problem(
                422, "idempotency-key-reused", "this Idempotency-Key was used with another request; choose a new one"
            )
        return job

    def _record(self, request: Request, job: Job, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
        shown = self._desk.presenter.job(job, reach_of(request).identity)
        return Response(encoded(shown), status, {**_PRIVATE, **headers}, JSON)


_PRIVATE = {"cache-control": "no-store"}
_DONE = {Action.CANCEL: "cancelled", Action.RETRY: "retried"}


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _moment(text: str) -> datetime:
    try:
        moment: datetime = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise Problem(422, "invalid-option", f"run_at must be a time as 2026-01-31T08:30:00Z, not {text!r}") from None
    return moment
