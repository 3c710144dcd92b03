"""The pages on the web part say what the application does: routes, problems, metrics, the bar's names, the pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import msgspec
import pytest
from starlette.routing import Route, WebSocketRoute

from docs.pages import ROOT, blocks, code_spans
from stoker import Stoker
from stoker.web import create
from stoker.web.api import Api
from stoker.web.operation import Access, Operation
from stoker.web.problem import _STATUS

DOCS = ROOT / "docs"
HTTP = DOCS / "reference" / "http.md"
WEB = ROOT / "src" / "stoker" / "web"
WHO = {Access.ALL: "all", Access.FOLLOWERS: "token", Access.PEOPLE: "owner", Access.ADMINS: "admin"}


@pytest.fixture(scope="module")
def web():
    app = Stoker("memory://")
    yield create(app)
    app.close()


def rows(page: Path, pattern: str) -> list[tuple[str, ...]]:
    return re.findall(pattern, page.read_text("utf-8"), re.MULTILINE)


# --- routes -----------------------------------------------------------------------------------------------------------


def operations(web) -> list[Operation]:
    return list(Api(web.state.desk).operations)


def test_the_table_of_routes_is_that_of_the_application(web):
    said = dict(rows(HTTP, r"^\| `((?:GET|POST|DELETE|WS) /[^`]*)` \| (\w+) \|"))
    described = {f"{operation.method} {operation.address}": WHO[operation.access] for operation in operations(web)}
    # What no OpenAPI document can describe, or need not.
    others = {"WS /jobs/{id}/ws": "token", "GET /static/{name}": "all"}
    assert said == described | others


def test_no_route_is_left_out(web):
    served = {
        f"{method} {re.sub(r':path}', '}', route.path)}"
        for route in web.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    } | {f"WS {route.path}" for route in web.routes if isinstance(route, WebSocketRoute)}
    said = {route for route, _ in rows(HTTP, r"^\| `((?:GET|POST|DELETE|WS) /[^`]*)` \| (\w+) \|")}
    pages = {route for route in served if route.split()[1] == "/" or route.split()[1].startswith("/ui/")}
    assert served - pages == said


def test_every_parameter_and_header_is_named(web):
    spans = {word for span in code_spans(HTTP) for word in re.findall(r"[A-Za-z_][\w-]*", span.lower())}
    wanted: set[str] = set()
    for operation in operations(web):
        for kind in (operation.query, operation.body):
            wanted |= {field.name for field in msgspec.structs.fields(kind)} if kind is not None else set()
        wanted |= {*operation.headers, *operation.tells}
    assert wanted - spans == set()


# --- problems ---------------------------------------------------------------------------------------------------------


def problems() -> Iterator[tuple[int, str]]:
    """Every status and type that the code answers with; `…` stands for what is filled in."""
    yield from _STATUS.values()
    for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        yield status.value, status.name.lower().replace("_", "-")
    for path in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                status, kind = node.args[:2]
                match status, kind:
                    case ast.Constant(value=int() as number), ast.Constant(value=str() as word):
                        yield number, word
                    case ast.Constant(value=int() as number), ast.JoinedStr(
                        values=[ast.Constant(value=str() as word), *_]
                    ):
                        yield number, f"{word}…"


def test_the_table_of_problems_is_that_of_the_code():
    said = {
        (int(status), word)
        for statuses, types in rows(HTTP, r"^\| (\d{3}(?:, \d{3})*) \| ([^|]+) \|")
        for status in statuses.split(", ")
        for word in re.findall(r"`([a-z-]+)`", types)
    }
    words = {word for _, word in said}
    known = set(problems())
    assert len(known) > 30
    beginnings = {word.removesuffix("…") for _, word in known if word.endswith("…")}
    missing = {
        (status, word)
        for status, word in known
        if (not word.endswith("…") and (status, word) not in said)
        or (word.endswith("…") and not any(one.startswith(word.removesuffix("…")) for one in words))
    }
    invented = {word for word in words - {word for _, word in known} if not word.startswith(tuple(beginnings))}
    assert (missing, invented) == (set(), set())


# --- metrics, pages, the live bar -------------------------------------------------------------------------------------


def test_the_page_on_monitoring_names_every_metric():
    source = (WEB / "metrics.py").read_text("utf-8")
    made = {name + "_total" * (name == "stoker_attempts_finished") for name in re.findall(r'"(stoker_\w+)"', source)}
    page = DOCS / "howto" / "monitor.md"
    named = {name for row in rows(page, r"^\| (`stoker_[^|]*) \|") for name in re.findall(r"`(\w+)`", row)}
    assert named == made
    used = {name for block in blocks(page) for name in re.findall(r"stoker_(?:\w+)", block.text)}
    assert used - {"stoker_token"} <= made


def test_the_page_on_the_dashboard_has_every_tab_and_its_key():
    said = set(rows(DOCS / "howto" / "dashboard.md", r"^\| (\w+) \| `g` `(\w)` \|"))
    tabs = {
        found
        for path in (WEB / "dashboard").glob("*.py")
        for found in re.findall(r'Tab\("(\w+)", "\w+", "(\w)"\)', path.read_text("utf-8"))
    }
    assert said == tabs


SCRIPT = (WEB / "static" / "progress.js").read_text("utf-8")
LIVE = DOCS / "howto" / "live-progress.md"


def test_the_page_on_live_progress_has_every_attribute():
    [observed] = re.findall(r"observedAttributes = \[([^\]]*)\]", SCRIPT)
    said = {
        name for [name] in (row if isinstance(row, tuple) else (row,) for row in rows(LIVE, r"^\| `([a-z-]+)` \| "))
    }
    assert said == {*re.findall(r'"([\w-]+)"', observed), "state"}


def test_the_page_on_live_progress_names_its_parts_properties_and_events():
    spans = code_spans(LIVE)
    properties = set(re.findall(r"--stoker-\w+", SCRIPT))
    assert properties == {name for span in spans for name in re.findall(r"--stoker-\w+", span)}
    parts = {*re.findall(r'make\("\w+", "(\w+)"', SCRIPT), *re.findall(r'part: "(\w+)"', SCRIPT)}
    events = {"progress", *re.findall(r'"(\w+)"', re.findall(r"FINAL = new Set\(\[([^\]]*)", SCRIPT)[0])}
    assert len(parts) == 8
    assert len(events) == 4
    assert parts | events <= spans


@pytest.mark.parametrize("page", ["howto/live-progress.md", "howto/web.md"])
def test_bars_in_examples_have_attributes_that_there_are(page):
    [observed] = re.findall(r"observedAttributes = \[([^\]]*)\]", SCRIPT)
    known = set(re.findall(r'"([\w-]+)"', observed))
    for block in blocks(DOCS / page):
        for bar in re.findall(r"<stoker-progress([^>]*)>", block.text):
            assert set(re.findall(r'([\w-]+)="', bar)) <= known
