"""The figures in the documentation are those that the benchmark wrote."""

from __future__ import annotations

import subprocess
import sys

import pytest

from docs.pages import PAGES, ROOT, name_of

SCRIPT = ROOT / "scripts" / "figures"
WITH_FIGURES = [page for page in PAGES if "<!-- figures -->" in page.read_text("utf-8")]


def test_the_pages_with_figures_are_these():
    assert [name_of(page) for page in WITH_FIGURES] == ["README.md", "docs/explain/performance.md"]


def test_the_figures_are_those_of_the_benchmark():
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_figure_stands_elsewhere(page):
    text = page.read_text("utf-8")
    if page in WITH_FIGURES:
        before, _, rest = text.partition("<!-- figures -->")
        text = before + rest.partition("<!-- /figures -->")[2]
    if "decisions" not in page.parts:
        assert "jobs/s" not in text
