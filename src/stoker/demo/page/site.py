"""The demo's site: a form, a page for each search, and the dashboard below `/stoker`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates

from stoker.app import Stoker
from stoker.demo.crew import Crew
from stoker.demo.findings import Findings, Report
from stoker.demo.jobs import search
from stoker.demo.offer import Offer
from stoker.demo.page.visitors import Visitor, Visitors
from stoker.demo.phrase import Phrase
from stoker.errors import JobNotFound
from stoker.job import Job, State
from stoker.web import create
from stoker.web.assets import Assets

_HERE: Final = Path(__file__).parent
_LONGEST: Final = 200
"""characters of a phrase"""
_BEFORE: Final = 8
"""searches of a visitor that are listed"""
_MAY_ASK: Final = ("none", "same-origin")
_SCRIPT_AND_STYLE_OF_OURS: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _SCRIPT_AND_STYLE_OF_OURS,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Site:
    """The demo's site. `enqueued` are the ids of all searches that began here."""

    def __init__(self, app: Stoker, secret: str, offer: Offer, crew: Crew) -> None:
        self._app = app
        self._offer = offer
        self._crew = crew
        self._visitors = Visitors(secret)
        self._assets = Assets(_HERE / "static")
        self._pages = Jinja2Templates(_HERE / "templates")  # what is put into these is escaped
        self._pages.env.globals.update(asset=self._assets.link, quoted=_quoted, size=_size, offer=offer)
        self.enqueued: list[str] = []

    @property
    def application(self) -> Starlette:
        """The ASGI application. Other names than this machine's are refused: they could be made to point here."""
        return Starlette(
            routes=[
                Route("/", self.form),
                Route("/searches", self.begin, methods=["POST"]),
                Route("/searches/{id}", self.show),
                Route("/searches/{id}/cancel", self.cancel, methods=["POST"]),
                Route("/worker", self.worker),
                Route("/dashboard", self.dashboard),
                *self._assets.routes,
                Mount("/stoker", create(self._app, self._visitors.identify)),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
            exception_handlers={HTTPException: self.problem},
        )

    async def form(self, request: Request) -> Response:
        """The form, and what this visitor searched before."""
        visitor = self._visitors.of(request)
        before = await self._app.jobs.alist(owner=visitor.name, task=search.name, limit=_BEFORE)
        return self._page(request, visitor, "form.html", phrase=self._offer.phrase, before=before)

    async def begin(self, request: Request) -> Response:
        """Enqueue a search, and show its page."""
        _check_origin(request)
        visitor = self._visitors.of(request)
        phrase = " ".join(str((await request.form()).get("phrase", "")).split())
        if not 1 <= len(phrase) <= _LONGEST or not phrase.isprintable():
            wrong = f"Type a word or a phrase, of up to {_LONGEST} characters."
            return self._page(request, visitor, "form.html", 422, phrase=phrase, before=[], wrong=wrong)
        offer = self._offer
        call = search.using(owner=visitor.name)
        job = await call.aenqueue(phrase, list(offer.folders), offer.limit, offer.at_least)
        self.enqueued.append(job.id)
        return self._to(f"/searches/{job.id}", visitor)

    async def show(self, request: Request) -> Response:
        """A search as it is: its bar, or what it found."""
        visitor = self._visitors.of(request)
        job = await self._own(request, visitor)
        facts: dict[str, Any] = {"job": job, "phrase": job.args[0], "pattern": Phrase(job.args[0]).pattern}
        if job.state is State.COMPLETED:
            return self._page(request, visitor, "result.html", report=msgspec.convert(job.result, Report), **facts)
        if job.finished:
            return self._page(request, visitor, "ended.html", found=_found(job), **facts)
        token = await self._app.jobs.handle(job.id).atoken()
        return self._page(request, visitor, "search.html", token=token, pid=self._crew.pid, **facts)

    async def cancel(self, request: Request) -> Response:
        """Cancel a search, and show what became of it."""
        _check_origin(request)
        visitor = self._visitors.of(request)
        job = await self._own(request, visitor)
        await self._app.jobs.acancel(job.id, reason="because the visitor asked for it")
        return self._to(f"/searches/{job.id}", visitor)

    async def worker(self, request: Request) -> Response:
        """The process id of the worker that is there now: the one that a page named may have been killed since."""
        return JSONResponse({"pid": self._crew.pid}, headers=_HEADERS)

    async def dashboard(self, request: Request) -> Response:
        """Let this browser be the person on call, who sees everything."""
        return self._to("/stoker/", Visitor(self._visitors.of(request).name, on_call=True))

    async def problem(self, request: Request, error: Exception) -> Response:
        """A page that says what is wrong."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._page(request, self._visitors.of(request), "problem.html", status)

    async def _own(self, request: Request, visitor: Visitor) -> Job:
        """The search, if it is this visitor's. Raises a 404 otherwise, as for one that never was."""
        try:
            job = await self._app.jobs.aget(request.path_params["id"])
        except JobNotFound:
            raise HTTPException(404) from None
        if job.owner != visitor.name or job.task != search.name:
            raise HTTPException(404)
        return job

    def _page(self, request: Request, visitor: Visitor, name: str, status: int = 200, **facts: Any) -> Response:
        facts = {**facts, "visitor": visitor, "status": status}
        response = self._pages.TemplateResponse(request, name, facts, status, _HEADERS)
        self._visitors.remember(visitor, response)
        return response

    def _to(self, address: str, visitor: Visitor) -> Response:
        response = RedirectResponse(address, 303, _HEADERS)
        self._visitors.remember(visitor, response)
        return response


def _check_origin(request: Request) -> None:
    """Forms of other sites are not taken in: browsers say where a request comes from."""
    if request.headers.get("sec-fetch-site", "none") not in _MAY_ASK:
        raise HTTPException(403)


def _found(job: Job) -> Findings:
    return Findings() if job.checkpoint is None else msgspec.convert(job.checkpoint, Findings)


def _quoted(pattern: Any, text: str) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is what was looked for."""
    pieces: list[tuple[str, bool]] = []
    end = 0
    for match in pattern.finditer(text):
        pieces += [(text[end : match.start()], False), (match[0], True)]
        end = match.end()
    return [*pieces, (text[end:], False)]


def _size(bytes: int) -> str:
    return f"{bytes / 1e6:,.1f} MB" if bytes >= 1e6 else f"{bytes / 1e3:,.1f} kB"
