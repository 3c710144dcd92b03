"""Every link leads somewhere: to a page, a heading, a file, or the very test that it names."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs.pages import PAGES, ROOT, anchors, code_spans, links, name_of

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


@cache
def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def is_test(text: str) -> bool:
    return re.fullmatch(r"`test_\w+`", text) is not None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    wrong = []
    for link in links(page):
        if "://" in link.target:
            continue
        target, _, anchor = link.target.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or not path.is_relative_to(ROOT):
            wrong.append(f"line {link.line}: there is no {link.target}")
        elif anchor and anchor not in anchors(path):
            wrong.append(f"line {link.line}: {target or 'this page'} has no heading {anchor}")
        elif is_test(link.text) and link.text.strip("`") not in functions(path):
            wrong.append(f"line {link.line}: {target} has no {link.text}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_test_that_is_named_is_linked(page):
    linked = {link.text.strip("`") for link in links(page)}
    assert {span for span in code_spans(page) if re.fullmatch(r"test_\w+", span)} <= linked


def test_every_page_can_be_reached():
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        todo += [
            (page.parent / link.target.partition("#")[0]).resolve() for link in links(page) if ".md" in link.target
        ]
        todo = [path for path in todo if path.suffix == ".md" and path.exists()]
    assert [name_of(page) for page in PAGES if page not in seen] == []


def test_decisions_are_numbered_without_a_gap():
    assert [path.name[:5] for path in DECISIONS] == [f"{number:04}-" for number in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_is_titled_by_its_number(page):
    assert page.read_text("utf-8").startswith(f"# {page.name[:4]} ")


def test_every_guarantee_of_the_stores_is_there():
    page = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    assert re.findall(r"^## (G\d+)", page, re.MULTILINE) == [f"G{number}" for number in range(1, 16)]
