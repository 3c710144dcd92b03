"""Makes pages of templates: everything escaped, and no browser allowed to run what is not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Context
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response

from stoker.job import FINAL, State
from stoker.web.assets import Assets
from stoker.web.dashboard import words
from stoker.web.dashboard.page import Page
from stoker.web.dashboard.slots import occupied
from stoker.web.dashboard.visit import Visit, root_of, where_of
from stoker.web.identity import Identity
from stoker.web.problem import Problem
from stoker.web.reach import reach_if_any

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with `no-referrer`, a browser's forms would not say where they come from
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every page."""

_Block = Callable[[Context], Iterator[str]]

_STATES: Final = (
    State.PROCESSING,
    State.QUEUED,
    State.SCHEDULED,
    State.WAITING,
    State.FAILED,
    State.COMPLETED,
    State.CANCELLED,
)
"""In the order in which pages show them: what moves first, and what needs somebody before what does not."""

_LIVE: Final = "live_"
"""Blocks of this name are sent again while somebody watches the page."""


class Renderer:
    """Renders pages, their live blocks, and what went wrong."""

    def __init__(self, pages: Sequence[Page], assets: Assets, *, read_only: bool) -> None:
        self._tabs = [page for page in pages if page.tab is not None]
        self._environment = environment(assets, may_change=not read_only)

    def page(self, visit: Visit, template: str, facts: Mapping[str, Any], status: int = 200) -> Response:
        """A whole page."""
        html = self._environment.get_template(template).render(self._context(visit, facts))
        return HTMLResponse(html, status, HEADERS)

    def blocks(self, visit: Visit, template: str, facts: Mapping[str, Any]) -> dict[str, str]:
        """The live blocks that the page shows, by name."""
        found = self._environment.get_template(template)
        context = found.new_context(self._context(visit, facts))
        caught: dict[str, str] = {}
        for name, (block, *_) in context.blocks.items():
            if name.startswith(_LIVE):
                context.blocks[name][0] = _catching(name.removeprefix(_LIVE), block, caught)
        for _ in found.root_render_func(context):  # the rest of the page is made, too, and thrown away
            pass
        return caught

    def problem(self, connection: HTTPConnection, problem: Problem) -> Response:
        """A page that says what went wrong. It asks the store for nothing."""
        reach = reach_if_any(connection)
        identity: Identity | None = reach.identity if reach is not None else None
        where = where_of(connection)
        again = problem.headers.get("retry-after") if connection.scope.get("method") in ("GET", "HEAD") else None
        context = {
            "root": root_of(where),
            "where": where,
            "tabs": self._tabs_for(identity, where),
            "identity": identity,
            "problem": problem,
            "again": again,
        }
        html = self._environment.get_template("problem.html").render(context)
        return HTMLResponse(html, problem.status, {**problem.headers, **HEADERS})

    def _context(self, visit: Visit, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **facts,
            "visit": visit,
            "root": visit.root,
            "where": visit.where,
            "identity": visit.identity,
            "tabs": self._tabs_for(visit.identity, visit.where),
        }

    def _tabs_for(self, identity: Identity | None, where: str) -> list[dict[str, Any]]:
        """The navigation that somebody sees, and which of it is here."""
        if identity is None:
            return []
        return [
            {"tab": page.tab, "where": page.path.lstrip("/"), "here": _is_at(where, page.path.lstrip("/"))}
            for page in self._tabs
            if identity.admin or not page.admins_only
        ]


def _catching(name: str, block: _Block, caught: dict[str, str]) -> _Block:
    """The block, which also leaves its text there."""

    def render(context: Context) -> Iterator[str]:
        caught[name] = text = "".join(block(context))
        yield text

    return render


def environment(assets: Assets, *, may_change: bool) -> Environment:
    """The templates, with what all of them use: `ui` (macros), the filters of `words`, and states in their order."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(words.FILTERS, occupied=occupied)
    made.globals.update(asset=assets.link, may_change=may_change)
    made.globals.update(all_states=_STATES, final_states=FINAL)
    made.globals["ui"] = made.get_template("ui.html").module
    return made


def _is_at(where: str, tab: str) -> bool:
    return where == tab or (tab != "" and where.startswith(f"{tab}/"))
