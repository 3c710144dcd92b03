"""The demo's page as a visitor's browser asks for it; what it looks like and does is in `tests/browser`."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from html import unescape

import httpx
import pytest

from surfaces.test_demo import PHRASE, WAIT, Count, begun, command, read_until, run, surroundings, texts

__all__ = ["surroundings", "texts"]  # fixtures

SLOW = ("--slow", "2")
HIT = re.compile(r'class="folder">([^<]*)</span><b>([^<]*)</b>.*?<b>([\d,]+)</b> <span>match', re.DOTALL)


@contextmanager
def opened(surroundings, *args: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A demo whose page stays, and its URL."""
    with begun(surroundings, "--page", *args) as process:
        yield read_until(process, r"^page +(http://127.0.0.1:\d+)/")[1], process


@contextmanager
def visitor(url: str, **headers: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=WAIT, follow_redirects=True, headers=headers) as client:
        yield client


def until(condition):
    deadline = time.monotonic() + WAIT
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return found


def job_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.url.path.rpartition("/")[2]


def test_a_search_from_form_to_ranked_result(texts, surroundings):
    count = Count(texts)
    with opened(surroundings, "--path", texts, *SLOW) as (url, process), visitor(url) as client, visitor(url) as other:
        form = client.get("/").text
        assert f"Search {count.files + 1} files" in form
        assert f'value="{PHRASE}"' in form

        search = client.post("/searches", data={"phrase": "RACE   condition"})
        job = job_of(search)
        assert search.history[0].status_code == 303
        token = unescape(re.search(r'<stoker-progress job="[^"]+" token="([^"]+)"', search.text)[1])
        record = httpx.get(f"{url}/stoker/jobs/{job}", params={"token": token}, timeout=WAIT).raise_for_status().json()
        assert re.fullmatch(r"visitor-[0-9a-f]{6}", record["owner"])

        result = until(
            lambda: text if "<stoker-progress" not in (text := client.get(f"/searches/{job}").text) else None
        )
        found = re.findall(
            r'class="folder">([^<]*)</span><b>([^<]*)</b>.*?<b>([\d,]+)</b> <span>match', result, re.DOTALL
        )
        assert len(found) == 10
        assert all(count.by_path[unescape(folder + name)] == int(matches) for folder, name, matches in found)
        assert [int(matches) for _, _, matches in found] == sorted(count.by_path.values(), reverse=True)[:10]
        assert f"<b>{count.matches} matches</b>" in result
        assert "<mark>race condition</mark>" in result

        # Whoever else comes has no such search.
        assert other.get("/").status_code == 200
        for path in (f"/searches/{job}", f"/stoker/jobs/{job}"):
            assert client.get(path).status_code == 200
            assert other.get(path).status_code == 404
        assert other.post(f"/searches/{job}/cancel").status_code == 404
        assert job in client.get("/").text
        assert job not in other.get("/").text

        # But for who is on call.
        assert other.get("/dashboard").url.path == "/stoker/"
        assert other.get(f"/stoker/jobs/{job}").status_code == 200
        assert other.get(f"/searches/{job}").status_code == 404

        read_until(process, "the page stays up at")  # before, it would end the terminal's own search, too
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT)
        assert process.returncode == 0
    assert os.listdir(surroundings["TMPDIR"]) == []


def test_several_at_once_and_one_is_cancelled(texts, surroundings):
    with opened(surroundings, "--path", texts, *SLOW) as (url, _), visitor(url) as client:
        jobs = [job_of(client.post("/searches", data={"phrase": f"race {n}"})) for n in range(4)]
        last = client.post(f"/searches/{jobs[-1]}/cancel")
        assert job_of(last) == jobs[-1]
        states = {}

        def ended() -> bool:
            states.update({job: client.get(f"/stoker/jobs/{job}").json()["state"] for job in jobs})
            return states.keys() and set(states.values()) <= {"completed", "cancelled"}

        until(ended)
        assert list(states.values()) == ["completed"] * 3 + ["cancelled"]
        assert "because the visitor asked for it" in client.get(f"/searches/{jobs[-1]}").text


def test_a_search_goes_on_after_its_worker_was_killed(texts, surroundings):
    with opened(surroundings, "--path", texts, "--slow", "4") as (url, process), visitor(url) as client:
        read_until(process, "the page stays up at")
        search = client.post("/searches", data={"phrase": PHRASE})
        job = job_of(search)
        until(lambda: (client.get(f"/stoker/jobs/{job}").json()["progress"] or 0) > 0.2)
        pid = client.get("/worker").json()["pid"]
        named = re.sub(r"<[^>]*>", "", search.text)
        assert f"process {pid}." in named
        assert f"kill -9 {pid}\n" in named
        os.kill(pid, signal.SIGKILL)
        record = until(lambda: r if (r := client.get(f"/stoker/jobs/{job}").json())["state"] == "completed" else None)
        assert (record["attempt"], record["crashes"]) == (2, 1)
        assert client.get("/worker").json()["pid"] != pid
        assert record["result"]["matches"] == Count(texts).matches
        assert "the 2nd went on at file" in client.get(f"/searches/{job}").text


@pytest.mark.parametrize("phrase", ["", "  ", "x" * 201, "a\x07b"])
def test_a_phrase_that_is_none(texts, surroundings, phrase):
    with opened(surroundings, "--path", texts) as (url, _), visitor(url) as client:
        answer = client.post("/searches", data={"phrase": phrase})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text


def test_what_is_typed_is_escaped(texts, surroundings):
    attack = "\"><img src=x onerror=alert(1)>{{ 7 * 7 }}'"
    with opened(surroundings, "--path", texts, *SLOW) as (url, _), visitor(url) as client:
        search = client.post("/searches", data={"phrase": attack})
        for text in (search.text, client.get("/").text):
            assert attack in unescape(text)
            assert "<img src=x" not in text
        policy = search.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_only_this_machine_and_only_its_own_pages(texts, surroundings):
    with opened(surroundings, "--path", texts, *SLOW) as (url, _):
        get = partial(httpx.get, timeout=WAIT)
        assert get(url, headers={"host": "evil.example"}).status_code == 400
        with visitor(url, **{"sec-fetch-site": "cross-site"}) as forger:
            assert forger.post("/searches", data={"phrase": "x"}).status_code == 403
        assert get(f"{url}/stoker/jobs").status_code == 401
        forged = get(f"{url}/stoker/jobs", cookies={"stoker-demo": '["ada",true]'})
        assert forged.status_code == 401
        assert get(f"{url}/searches/nothing").status_code == 404


def test_another_port_where_the_usual_one_is_taken(texts, surroundings):
    with ExitStack() as stack:
        ours = True
        try:
            stack.enter_context(socket.create_server(("127.0.0.1", 8440)))
        except OSError:  # another test's demo listens there: as good, but nobody knows for how long
            ours = False
        url, _ = stack.enter_context(opened(surroundings, "--path", texts))
        if not ours and url.endswith(":8440"):  # it has ended, and now this demo has the port
            url, _ = stack.enter_context(opened(surroundings, "--path", texts))
        assert not url.endswith(":8440")
        assert httpx.get(url, timeout=WAIT).status_code == 200


# --- how long it stays ------------------------------------------------------------------------------------------------


def at_a_terminal(surroundings, *args: str) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*args),
        env=surroundings | {"TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    return process, ours


def seen(terminal: int, words: bytes | None = None) -> bytes:
    """What is shown, up to these words or the end."""
    shown = b""
    try:
        while words is None or words not in shown:
            shown += os.read(terminal, 65536)
    except OSError:  # the other end was closed: this is how Linux says so
        assert words is None, shown.decode()
    return shown


def test_it_stays_for_a_person_at_a_terminal(texts, surroundings):
    process, terminal = at_a_terminal(surroundings, "--path", texts)
    bell = threading.Timer(WAIT, process.kill)
    bell.start()
    try:
        shown = seen(terminal, b"Ctrl-C ends it").decode()
        url = re.search(r"stays up at (http://\S+)", shown)[1]
        assert httpx.get(url, timeout=WAIT).status_code == 200
        process.send_signal(signal.SIGINT)
        seen(terminal)
        assert process.wait(WAIT) == 0
    finally:
        bell.cancel()
        process.kill()
        os.close(terminal)
    assert os.listdir(surroundings["TMPDIR"]) == []


def test_without_a_page_it_ends_at_a_terminal(texts, surroundings):
    process, terminal = at_a_terminal(surroundings, "--path", texts, "--no-page")
    bell = threading.Timer(WAIT, process.kill)
    bell.start()
    shown = seen(terminal)
    bell.cancel()
    os.close(terminal)
    assert process.wait(WAIT) == 0
    assert b"http://" not in shown


def test_it_goes_with_the_run_where_nobody_watches(texts, surroundings):
    done = run(surroundings, "--path", texts)
    assert done.returncode == 0
    assert re.search(r"^page +http://127.0.0.1:\d+/", done.stdout, re.MULTILINE)
    assert "stays up" not in done.stdout


def test_without_the_extra_there_is_no_page(texts, surroundings, tmp_path):
    """As where only the command line is installed: the import fails."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['starlette'] = None\n")
    path = os.pathsep.join([str(tmp_path), surroundings.get("PYTHONPATH", "")])
    done = run(surroundings | {"PYTHONPATH": path}, "--path", texts)
    assert done.returncode == 0, done.stderr
    assert "page         none: the server needs the package starlette: pip install 'stoker[web]'" in done.stdout
    wished = run(surroundings | {"PYTHONPATH": path}, "--path", texts, "--page")
    assert wished.returncode == 2
    assert "pip install 'stoker[web]'" in wished.stderr
    assert os.listdir(surroundings["TMPDIR"]) == []


def test_its_jobs_are_removed_from_ones_own_store(texts, surroundings, tmp_path):
    url = f"sqlite:///{tmp_path}/own.db"
    with opened(surroundings | {"STOKER_URL": url}, "--path", texts, *SLOW) as (page, process), visitor(page) as client:
        client.post("/searches", data={"phrase": PHRASE})
        read_until(process, "the page stays up at")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT)
    from stoker import Stoker

    with Stoker(url) as app:
        assert app.jobs.list() == []
