"""The examples as their readers run them: a real server, and visitors with cookies of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WAIT = 90.0
PHRASE = "race condition"

SITES = ("fastapi_app", "flask_app", "starlette_app")


@contextmanager
def served(command: list[str], folder: Path) -> Iterator[str]:
    """The URL of a server that was started so; killed at the end."""
    said = folder / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", "0"],
            cwd=folder,  # the store is made here
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(EXAMPLES), os.environ.get("PYTHONPATH", "")])},
            stdout=out,
            stderr=out,
        )
    bell = threading.Timer(2 * WAIT, process.kill)
    bell.start()
    try:
        yield until(lambda: url_in(said, process))
    finally:
        bell.cancel()
        process.terminate()
        assert process.wait(WAIT) in (0, -15), said.read_text()
        assert "Traceback" not in said.read_text()


def url_in(said: Path, process: subprocess.Popen[bytes]) -> str | None:
    text = said.read_text()
    assert process.poll() is None, text
    found = re.search(r"(?:running on|serving at) (http://[\d.:]+)", text)
    return found[1] if found else None


def until(condition):
    deadline = time.monotonic() + WAIT
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return found


@contextmanager
def visitor(url: str) -> Iterator[httpx.Client]:
    """Somebody with a browser, who has opened the page."""
    with httpx.Client(base_url=url, timeout=WAIT) as client:
        assert "<form" in client.get("/").raise_for_status().text
        yield client


@pytest.mark.parametrize("name", SITES)
def test_a_search_from_form_to_result(tmp_path, name):
    with served(["uvicorn", f"{name}:site"], tmp_path) as url, visitor(url) as client, visitor(url) as other:
        begun = client.post("/searches", data={"phrase": PHRASE})
        assert begun.status_code == 202
        bar = re.search(r'<stoker-progress job="([^"]+)" token="([^"]+)"', begun.text)
        assert bar is not None
        job, token = bar[1], unescape(bar[2])
        [script] = re.findall(r'<script src="([^"]+)"', begun.text)
        assert "stoker-progress" in client.get(script).raise_for_status().text

        seen = until(lambda: record if (record := followed(url, job, token))["state"] == "completed" else None)
        assert seen["progress"] == 1.0
        result = client.get(f"/searches/{job}").raise_for_status().text
        assert all(hit["file"] in unescape(result) for hit in seen["result"])
        assert seen["result"]
        assert "<stoker-progress" not in result

        # Somebody else has no such job, whichever way they ask.
        for path in (f"/searches/{job}", f"/stoker/jobs/{job}", f"/stoker/jobs/{job}/events"):
            assert client.get(path).status_code == 200, path
            assert other.get(path).status_code == 404, path
        assert other.get("/stoker/jobs").json()["jobs"] == []
        assert [record["id"] for record in client.get("/stoker/jobs").json()["jobs"]] == [job]
        assert httpx.get(f"{url}/stoker/jobs/{job}", timeout=WAIT).status_code == 401


def followed(url: str, job: str, token: str) -> dict:
    """The record, for somebody who has only the token."""
    return httpx.get(f"{url}/stoker/jobs/{job}", params={"token": token}, timeout=WAIT).raise_for_status().json()


@pytest.mark.parametrize("name", SITES)
def test_what_is_typed_is_shown_and_never_run(tmp_path, name):
    attack = '"><script>alert(1)</script>{{ 7 * 7 }}'
    with served(["uvicorn", f"{name}:site"], tmp_path) as url, visitor(url) as client:
        begun = client.post("/searches", data={"phrase": attack})
        assert begun.status_code == 202
        assert "<script>alert" not in begun.text
        assert attack in unescape(begun.text)
        for wrong in ("", "x" * 101):
            answer = client.post("/searches", data={"phrase": wrong})
            assert answer.status_code == 422
            assert "Type 1 to 100 characters." in answer.text
            assert "<form" in answer.text
        assert client.post("/searches").status_code == 422
        form = client.get("/searches")
        assert (form.status_code, form.headers["location"]) == (303, "/")
        assert client.get("/searches/nothing").status_code == 404
        forged = httpx.get(f"{url}/stoker/jobs", cookies={"visitor": "admin"}, timeout=WAIT)
        assert forged.status_code == 401


@pytest.mark.parametrize("name", SITES)
def test_a_search_that_finds_nothing_says_so_and_no_more(tmp_path, name):
    nowhere = uuid4().hex
    with served(["uvicorn", f"{name}:site"], tmp_path) as url, visitor(url) as client:
        begun = client.post("/searches", data={"phrase": nowhere})
        job = re.search(r'job="([^"]+)"', begun.text)[1]
        result = until(lambda: t if "<stoker-progress" not in (t := client.get(f"/searches/{job}").text) else None)
        assert "No file has it." in result
        assert "files" not in result


@pytest.mark.parametrize("name", SITES)
def test_everything_in_one_process(tmp_path, name):
    command = ["stoker", "start", "--web", f"{name}:site", "--app", "work:stoker"]
    with served(command, tmp_path) as url, visitor(url) as client:
        begun = client.post("/searches", data={"phrase": PHRASE})
        job = re.search(r'job="([^"]+)"', begun.text)[1]
        with client.stream("GET", f"/stoker/jobs/{job}/events") as stream:
            events = [line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event: ")]
        assert events[-1] == "completed"
        assert len(events) > 1
