"""A FastAPI application. Run it in this folder: `stoker start --web fastapi_app:site --port 8000`, with its worker.

Or by any ASGI server: `uvicorn fastapi_app:site --no-access-log` (addresses may hold tokens, which are for no log).
Then open http://127.0.0.1:8000.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates
from visitors import COOKIE, identify, signed, visitor_of
from work import search, stoker

from stoker import JobNotFound
from stoker.web import create

site = FastAPI(
    title="Searches",
    lifespan=stoker.lifespan(),  # a worker inside this server; leave it out where `stoker worker` runs beside it
)
site.mount("/stoker", create(stoker, identify=identify))  # the API, the streams, and the live bar's script

pages = Jinja2Templates(Path(__file__).parent / "templates")  # what is put into these is escaped


def visitor(request: Request) -> str:
    """Whoever asks."""
    return visitor_of(request.cookies)


Visitor = Annotated[str, Depends(visitor)]


@site.get("/")
async def form(request: Request, visitor: Visitor) -> Response:
    """The page with the form. It gives its visitor a cookie."""
    return page(request, visitor, "form.html")


@site.get("/searches")
async def leave() -> Response:
    """Send whoever comes by the form's address back to the form: there is nothing to see but an answer to it."""
    return RedirectResponse("/", 303)


@site.post("/searches", status_code=202)
async def begin(request: Request, visitor: Visitor, phrase: Annotated[str, Form()] = "") -> Response:
    """Take a search in: 202, "accepted", and a page on which to watch it."""
    phrase = phrase.strip()
    if not 1 <= len(phrase) <= 100:  # checked here and not by `Form`, whose answer is JSON, for programs
        return page(request, visitor, "form.html", 422, error="Type 1 to 100 characters.")
    job = await search.using(owner=visitor).aenqueue(phrase)
    # The token lets this page follow this one job, for an hour. It changes nothing, and opens nothing else.
    return page(request, visitor, "search.html", 202, job=await job.arefresh(), token=await job.atoken())


@site.get("/searches/{id}")
async def show(request: Request, visitor: Visitor, id: str) -> Response:
    """A search, as it is now: its bar, or its result."""
    try:
        job = await stoker.jobs.aget(id)
    except JobNotFound:
        raise HTTPException(404) from None
    if job.owner != visitor:
        raise HTTPException(404)  # the same answer as for a job that never was
    return page(request, visitor, "search.html", job=job, token=await stoker.jobs.handle(id).atoken())


def page(request: Request, visitor: str, name: str, status: int = 200, **facts: object) -> Response:
    """A page, and the cookie by which its visitor is known the next time."""
    response = pages.TemplateResponse(request, name, facts, status)
    response.set_cookie(COOKIE, signed(visitor), httponly=True, samesite="lax")
    return response
