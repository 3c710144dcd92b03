"""Every snippet of the documentation runs, page by page, as a reader would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import PAGES, blocks, name_of

PLAYED = {"python", "python no-run", "console", "toml"}
KINDS = PLAYED | {"sh", "text", "ini", "dockerfile", "json", "html", "js", "yaml"}
PATIENCE = 120.0

WITH_SNIPPETS = [page for page in PAGES if any(block.kind in PLAYED for block in blocks(page))]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
def test_the_snippets_of_a_page_run(page, tmp_path):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).parent / "play.py"), str(page)],
        cwd=tmp_path,
        env={
            **settings,
            "STOKER_URL": f"sqlite:///{tmp_path}/page.db?synchronous=normal",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{name_of(page)}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page):
    assert {block.kind for block in blocks(page)} <= KINDS


LONGER = {
    "README.md": 180,
    "docs/explain/performance.md": 310,
    "docs/tutorial.md": 160,
    "docs/howto/web.md": 170,
    "docs/howto/live-progress.md": 140,
    "docs/guarantees.md": 220,
    "docs/reference/api.md": 150,
    "docs/reference/cli.md": 190,
    "docs/reference/http.md": 140,
    "CONTRIBUTING.md": 100,
}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_is_short(page):
    assert len(page.read_text("utf-8").splitlines()) <= LONGER.get(name_of(page), 130)
