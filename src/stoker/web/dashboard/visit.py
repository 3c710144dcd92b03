"""One look at a page, or one act there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from stoker.web.dashboard.notice import PARAMETER
from stoker.web.identity import Identity
from stoker.web.mount import mount_of
from stoker.web.reach import Reach

Show = Callable[["Visit", str, Mapping[str, Any], int], Response]
WriteNotice = Callable[[str, Identity], Awaitable[str]]


class Visit:
    """Who looks at which page, with what in its URL. `reach` is the way to jobs.

    Templates get it as `visit`: `{{ visit.root }}ui/jobs` is a link that works under any mount and behind any proxy.
    """

    def __init__(
        self, reach: Reach, where: str, query: QueryParams, params: Mapping[str, Any], show: Show, write: WriteNotice
    ) -> None:
        self.reach = reach
        self.identity = reach.who
        self.where = where
        """the path below the mount as the browser has it, without the first slash: `ui/jobs`"""
        self.root = root_of(where)
        self.query = query
        self.params = params
        """what stands in the path"""
        self.csrf = ""
        self.notice: str | None = None
        self._show = show
        self._write = write

    def show(self, template: str, facts: Mapping[str, Any], status: int = 200) -> Response:
        """An act's answer that is a page itself: a question whether to do it, or the form with what is wrong in it."""
        return self._show(self, template, facts, status)

    async def go(self, where: str, notice: str | None = None, **query: Any) -> Response:
        """An act's answer that leads to a page (`ui/queues`), which says what was done."""
        if notice is not None:
            query[PARAMETER] = await self._write(notice, self.identity)
        return RedirectResponse(self.root + where + (f"?{urlencode(query)}" if query else ""), 303)


def root_of(where: str) -> str:
    """From that path to the mount, as a relative link: `./` or `../../`."""
    return "../" * where.count("/") or "./"


def where_of(connection: HTTPConnection) -> str:
    """The path below the mount, still quoted as in the browser, without the first slash."""
    scope = connection.scope
    root = mount_of(connection)
    path: str = scope["path"]
    raw = scope.get("raw_path") or path.encode()
    parts = raw.decode("ascii", "replace").partition("?")[0].split("/")[1 + root.count("/") :]
    return "/".join(parts) if path.startswith(root) else path.lstrip("/")
