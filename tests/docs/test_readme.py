"""The files of the README do together what it says of them, in processes of their own as a reader would start them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import ROOT, blocks

HEAD = re.compile(r"# (\w+\.py)(?:, continued)?\n")
PATIENCE = 60.0

COUNT = """
import jobs

print(jobs.app.jobs.count())
"""

VISIT = """
from starlette.testclient import TestClient

from web import site

with TestClient(site) as browser:
    assert browser.get("/stoker/").status_code == 401
    bar = browser.get("/")
    assert bar.status_code == 200
    job = bar.text.partition('job="')[2].partition('"')[0]
    assert browser.get("/stoker/static/progress.js").status_code == 200
    assert browser.get(f"/stoker/jobs/{job}").json()["owner"] == "ada"
    assert job in browser.get("/stoker/ui/jobs").text
    with browser.stream("GET", f"/stoker/jobs/{job}/events") as events:
        assert "event: completed" in list(events.iter_lines())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with all files of the README."""
    for block in blocks(ROOT / "README.md"):
        if block.kind == "python" and (found := HEAD.match(block.text)):
            with (tmp_path / found[1]).open("a") as file:
                file.write(block.text)
    return tmp_path


def python(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_whoever_imports_the_app_enqueues_nothing(project):
    assert python(project, COUNT).strip() == "{}"


def test_the_site_starts_and_shows_the_visitor_their_job(project):
    python(project, VISIT)
