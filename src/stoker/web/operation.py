"""What the API can do, one thing each. Its routes and its OpenAPI document are both made of these."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stoker.web.asking import json_body
from stoker.web.reach import Reach, reach_of
from stoker.web.reply import JSON

Handler = Callable[..., Awaitable[Response]]
"""Takes the request; and its body, where its operation says of which type that is."""
Endpoint = Callable[[Request], Awaitable[Response]]

_CONVERTER: Final = re.compile(r"\{(\w+):\w+\}")


class Access(StrEnum):
    """Who may ask for it at all: a route sees to that. Which records they reach is another question."""

    ALL = "everybody"
    FOLLOWERS = "whoever has a token for the job, or says who they are"
    PEOPLE = "whoever says who they are"
    ADMINS = "admins"

    def check(self, reach: Reach) -> None:
        """Raises a 401 or 403 for who may not. Nobody at all does not come so far: see `Gate`."""
        match self:
            case Access.ADMINS:
                reach.check_admin()
            case Access.PEOPLE:
                _ = reach.who
            case Access.ALL | Access.FOLLOWERS:
                pass


class Operation(Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str
    """as routes are written; a name that may have slashes is `{name:path}`"""
    handler: Handler
    summary: str
    access: Access = Access.PEOPLE
    query: type[Struct] | None = None
    """its fields are the parameters of the query"""
    headers: Mapping[str, str] = {}
    """headers that it reads, and what they mean"""
    body: type[Struct] | None = None
    """JSON; a body may be left out where every field has a default"""
    status: int = 200
    answer: Any = None
    """the type of the JSON that it answers; None: there is none, or it is no JSON"""
    media: str = JSON
    tells: Mapping[str, str] = {}
    """headers of the answer, and what they mean"""
    also: Mapping[int, str] = {}
    """statuses of answers without a body, and when they are given"""
    refuses: Mapping[int, str] = {}
    """statuses of its own problems, and when they are met; those that go without saying are left out"""

    @property
    def address(self) -> str:
        """The path as OpenAPI writes it."""
        return _CONVERTER.sub(r"{\1}", self.path)

    @property
    def parameters(self) -> Sequence[str]:
        """The names in the path."""
        return re.findall(r"\{(\w+)", self.path)


def routes_of(operations: Sequence[Operation], max_body: int) -> list[BaseRoute]:
    """One route for each path, so that whoever asks with another method hears of all that there are.

    A handler is called only for those who have the access that its operation says, and with a body of its type, of at
    most so many bytes.
    """
    paths: dict[str, dict[str, Endpoint]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _checked(operation, max_body)
    greedy = sorted(paths, key=lambda path: path.endswith(":path}"))  # what takes slashes leaves others the first look
    return [_route(path, paths[path]) for path in greedy]


def _checked(operation: Operation, max_body: int) -> Endpoint:
    async def handle(request: Request) -> Response:
        operation.access.check(reach_of(request))
        if operation.body is None:
            return await operation.handler(request)
        return await operation.handler(request, await json_body(request, operation.body, max_body))

    return handle


def _route(path: str, handlers: Mapping[str, Endpoint]) -> Route:
    async def endpoint(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, endpoint, methods=list(handlers), name=path)
