"""Puts pages together: their routes, who may see them, the tokens of their forms, and what is live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from stoker.web.assets import Assets
from stoker.web.dashboard.csrf import Csrf
from stoker.web.dashboard.form import form_of
from stoker.web.dashboard.live import Blocks, Live
from stoker.web.dashboard.notice import Notices
from stoker.web.dashboard.page import Page, Part, Post
from stoker.web.dashboard.render import Renderer
from stoker.web.dashboard.visit import Visit, where_of
from stoker.web.desk import Desk
from stoker.web.problem import Problem
from stoker.web.reach import Reach, reach_of

_Endpoint = Callable[[Request], Awaitable[Response]]


class Frame:
    """The pages of some parts, and what can be done there."""

    def __init__(self, desk: Desk, assets: Assets, parts: Sequence[Part]) -> None:
        self._desk = desk
        self._pages = [page for part in parts for page in part.pages]
        self._posts = [post for part in parts for post in part.posts]
        self._renderer = Renderer(self._pages, assets, read_only=desk.config.read_only)
        self._csrf = Csrf(desk.app.engine)
        self._notices = Notices(desk.app.engine)
        self._live = Live(self._look, desk.streams)
        desk.app.engine.partings.append(self._live.close)
        self._looks = [(Route(page.path, self._shown(page)), page) for page in self._pages]

    @property
    def routes(self) -> list[BaseRoute]:
        """To be put together with others."""
        posts = [Route(post.path, self._done(post), methods=["POST"]) for post in self._posts]
        live = Route("/ui/live", self._live.stream, methods=["GET"])
        return [live, *(route for route, _ in self._looks), *posts]

    def problem(self, connection: HTTPConnection, problem: Problem) -> Response:
        """The problem as a page where a person asked for one, else as problem details."""
        where = where_of(connection)
        of_a_page = where in ("", "ui") or where.startswith("ui/")
        if of_a_page and "text/html" in connection.headers.get("accept", ""):
            return self._renderer.problem(connection, problem)
        return problem.response()

    # --- looking and doing ------------------------------------------------------------------------------------------

    def _shown(self, page: Page) -> _Endpoint:
        async def show(request: Request) -> Response:
            reach = reach_of(request)
            visit = await self._visit(reach, where_of(request), request.query_params, request.path_params)
            visit.notice = await self._notices.read(request.query_params, visit.identity)
            return self._renderer.page(visit, page.template, await self._facts(page, visit))

        return show

    def _done(self, post: Post) -> _Endpoint:
        async def do(request: Request) -> Response:
            reach = reach_of(request)
            visit = await self._visit(reach, where_of(request), request.query_params, request.path_params)
            form = await form_of(request, self._desk.config.max_body)
            await self._csrf.check(request, form, visit.identity)
            if post.admins_only:
                reach.check_admin()
            answer = await post.do(visit, form)
            self._desk.answers.forget()  # whoever did it sees what became of it
            return answer

        return do

    async def _facts(self, page: Page, visit: Visit) -> Mapping[str, Any]:
        if page.admins_only:
            visit.reach.check_admin()
        return await page.facts(visit)

    async def _visit(self, reach: Reach, where: str, query: QueryParams, params: Mapping[str, Any]) -> Visit:
        visit = Visit(reach, where, query, params, self._renderer.page, self._notices.write)
        visit.csrf = await self._csrf.token(visit.identity)
        return visit

    async def _look(self, reach: Reach, address: str) -> Blocks:
        """The live blocks of the page at that address, `ui/jobs?state=failed`."""
        where, _, query = address.partition("?")
        scope = {"type": "http", "method": "GET", "path": unquote(f"/{where}"), "root_path": ""}
        for route, page in self._looks:
            match, found = route.matches(scope)
            if match is Match.FULL:
                # All who look as this identity are sent it: nothing that only this viewer's token would show.
                shared = Reach(self._desk.app, reach.who)
                visit = await self._visit(shared, where, QueryParams(query), found["path_params"])
                return self._renderer.blocks(visit, page.template, await self._facts(page, visit))
        raise Problem(404, "not-found", "there is no such page")
