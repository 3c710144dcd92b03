"""A plain Starlette application, with its worker: in this folder, `stoker start --web starlette_app:site --port 8000`.

Or by any ASGI server: `uvicorn starlette_app:site --no-access-log` (addresses may hold tokens, which are for no log).
Then open http://127.0.0.1:8000.
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates
from visitors import COOKIE, identify, signed, visitor_of
from work import search, stoker

from stoker import JobNotFound
from stoker.web import create

pages = Jinja2Templates(Path(__file__).parent / "templates")  # what is put into these is escaped


async def form(request: Request) -> Response:
    """The page with the form. It gives its visitor a cookie."""
    return page(request, "form.html")


async def leave(request: Request) -> Response:
    """Send whoever comes by the form's address back to the form: there is nothing to see but an answer to it."""
    return RedirectResponse("/", 303)


async def begin(request: Request) -> Response:
    """Take a search in: 202, "accepted", and a page on which to watch it."""
    phrase = str((await request.form()).get("phrase", "")).strip()
    if not 1 <= len(phrase) <= 100:
        return page(request, "form.html", 422, error="Type 1 to 100 characters.")
    job = await search.using(owner=visitor_of(request.cookies)).aenqueue(phrase)
    # The token lets this page follow this one job, for an hour. It changes nothing, and opens nothing else.
    return page(request, "search.html", 202, job=await job.arefresh(), token=await job.atoken())


async def show(request: Request) -> Response:
    """A search, as it is now: its bar, or its result."""
    try:
        job = await stoker.jobs.aget(request.path_params["id"])
    except JobNotFound:
        raise HTTPException(404) from None
    if job.owner != visitor_of(request.cookies):
        raise HTTPException(404)  # the same answer as for a job that never was
    return page(request, "search.html", job=job, token=await stoker.jobs.handle(job.id).atoken())


def page(request: Request, name: str, status: int = 200, **facts: object) -> Response:
    """A page, and the cookie by which its visitor is known the next time."""
    response = pages.TemplateResponse(request, name, facts, status)
    response.set_cookie(COOKIE, signed(visitor_of(request.cookies)), httponly=True, samesite="lax")
    return response


site = Starlette(
    routes=[
        Route("/", form),
        Route("/searches", begin, methods=["POST"]),
        Route("/searches", leave),
        Route("/searches/{id}", show),
        Mount("/stoker", create(stoker, identify=identify)),  # the API, the streams, and the live bar's script
    ],
    lifespan=stoker.lifespan(),  # a worker inside this server; leave it out where `stoker worker` runs beside it
)
