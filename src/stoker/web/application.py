"""The web application put together."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stoker.app import Stoker
from stoker.errors import StokerError
from stoker.web.api import Api
from stoker.web.assets import Assets
from stoker.web.config import OPTIONS, REDACT, config
from stoker.web.dashboard import dashboard
from stoker.web.desk import Desk
from stoker.web.gate import HEADERS, Gate
from stoker.web.identity import Identify
from stoker.web.problem import Problem, problem_of

_log = logging.getLogger("stoker.web")


def create(
    app: Stoker,
    identify: Identify | None = None,
    *,
    read_only: bool = False,
    redact: Iterable[str] = REDACT,
    options: Iterable[str] = OPTIONS,
    origins: Iterable[str] = (),
    max_body: int = 2_000_000,
    rate: str | None = "6000/m",
    max_streams: int = 20_000,
) -> Starlette:
    """The HTTP API, live progress and the dashboard of an app's jobs: an ASGI application for any path.

    `identify(request)` says who asks: an `Identity`, or None for nobody (401); it may be async. Without it, only
    requests from this machine are answered, and these may do everything. A job of another owner is a 404 everywhere.

    `read_only`: nothing can be changed. `redact`: names of arguments and keys whose values are not shown. `options`:
    what others than admins may say of a job. `origins`: other origins whose pages may change things. `max_body`:
    bytes of a request. `rate`: requests that change something, for each identity. `max_streams`: open at once.
    Raises `ConfigError` that names the argument.
    """
    chosen = config(identify, read_only, redact, options, origins, max_body, rate, max_streams)
    desk = Desk(app, chosen)
    assets = Assets()
    pages = dashboard(desk, assets)

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status >= 500:  # what is unexpected is logged by the server: it is raised again after this
            _log.warning("answered %d: %s", problem.status, error)
        response = pages.problem(request, problem)
        for name, value in HEADERS:  # Starlette answers with a 500 outside of the gate
            response.headers.setdefault(name.decode(), value.decode())
        return response

    web = Starlette(
        routes=[*Api(desk).routes, *pages.routes, *assets.routes],
        middleware=[Middleware(Gate, app=app, config=chosen, answer=pages.problem)],
        exception_handlers=dict.fromkeys((Problem, StokerError, HTTPException, ClientDisconnect, Exception), answer),
    )
    web.router.redirect_slashes = False  # a redirect would name the host that the request claims to be for
    web.state.desk = desk
    return web
