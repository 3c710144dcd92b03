"""A Flask application. Run it in this folder: `stoker start --web flask_app:site --port 8000`, with its worker.

Or by any ASGI server: `uvicorn flask_app:site --no-access-log` (addresses may hold tokens, which are for no log).
Then open http://127.0.0.1:8000.

Flask itself is a WSGI application: one thread for each request, and none to spare for a page that listens for minutes.
So it stands behind a small ASGI front, where Stoker's routes are its neighbours: ten thousand open streams hold no
thread there, and Flask notices nothing of it.
"""

from __future__ import annotations

from a2wsgi import WSGIMiddleware
from flask import Flask, abort, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from starlette.applications import Starlette
from starlette.routing import Mount
from visitors import COOKIE, identify, signed, visitor_of
from work import search, stoker

from stoker import JobNotFound
from stoker.web import create

flask = Flask(__name__)


@flask.get("/")
def form() -> ResponseReturnValue:
    """The page with the form. It gives its visitor a cookie."""
    return page("form.html")


@flask.get("/searches")
def leave() -> ResponseReturnValue:
    """Send whoever comes by the form's address back to the form: there is nothing to see but an answer to it."""
    return redirect("/", 303)


@flask.post("/searches")
def begin() -> ResponseReturnValue:
    """Take a search in: 202, "accepted", and a page on which to watch it."""
    phrase = request.form.get("phrase", "").strip()
    if not 1 <= len(phrase) <= 100:
        return page("form.html", 422, error="Type 1 to 100 characters.")
    job = search.using(owner=visitor_of(request.cookies)).enqueue(phrase)
    # The token lets this page follow this one job, for an hour. It changes nothing, and opens nothing else.
    return page("search.html", 202, job=job.refresh(), token=job.token())


@flask.get("/searches/<id>")
def show(id: str) -> ResponseReturnValue:
    """A search, as it is now: its bar, or its result."""
    try:
        job = stoker.jobs.get(id)
    except JobNotFound:
        abort(404)
    if job.owner != visitor_of(request.cookies):
        abort(404)  # the same answer as for a job that never was
    return page("search.html", job=job, token=stoker.jobs.handle(id).token())


def page(name: str, status: int = 200, **facts: object) -> ResponseReturnValue:
    """A page, and the cookie by which its visitor is known the next time."""
    response = make_response(render_template(name, **facts), status)
    response.set_cookie(COOKIE, signed(visitor_of(request.cookies)), httponly=True, samesite="Lax")
    return response


site = Starlette(
    routes=[
        Mount("/stoker", create(stoker, identify=identify)),  # the API, the streams, and the live bar's script
        Mount("/", WSGIMiddleware(flask)),
    ],
    lifespan=stoker.lifespan(),  # a worker inside this server; leave it out where `stoker worker` runs beside it
)
