"""`stoker enqueue`, `stoker worker`, `stoker start`."""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import UTC, datetime

import pytest

from stoker.member import Parts


def job(shop, id):
    return shop.ok("jobs", "show", id, "--json").json


def test_it_prints_the_id_and_nothing_else(shop):
    done = shop.ok("enqueue", "resize", "cat.jpg", "width=80")
    id = done.out.removesuffix("\n")
    assert len(id) == 36
    assert done.err == ""
    found = job(shop, id)
    assert (found["task"], found["args"], found["kwargs"]) == ("shop.resize", ["cat.jpg"], {"width": 80})
    assert found["state"] == "queued"


@pytest.mark.parametrize(
    ("typed", "args", "kwargs"),
    [
        (["cat.jpg", "80"], ["cat.jpg", 80], {}),
        (["42"], ["42"], {}),  # meant for a str
        (['"42"'], ["42"], {}),
        (["a b", "--kwargs", '{"width": 3}'], ["a b"], {"width": 3}),
        (["path=x=y"], [], {"path": "x=y"}),
        (["http://host/?a=b"], ["http://host/?a=b"], {}),
        (['"width=3"'], ["width=3"], {}),
        (["--", "-x"], ["-x"], {}),
        (["é€\u202e"], ["é€\u202e"], {}),
    ],
)
def test_arguments_are_json_or_text(shop, typed, args, kwargs):
    found = job(shop, shop.enqueue("resize", *typed))
    assert (found["args"], found["kwargs"]) == (args, kwargs)


@pytest.mark.parametrize(
    ("typed", "code", "message"),
    [
        (["nope"], 1, "shop.resize"),
        (["resize"], 1, "path"),
        (["resize", "a", "wide"], 1, "width"),
        (["resize", "a", "width=1", "width=2"], 2, "twice"),
        (["resize", "a", "width=1", "--kwargs", '{"width": 2}'], 2, "twice"),
        (["resize", "a", "--kwargs", "{"], 2, "JSON"),
        (["resize", "a", "--kwargs", "[]"], 2, "object"),
        (["resize", "a", "--priority", "101"], 2, "100"),
        (["resize", "a", "--delay", "soon"], 2, "15m"),
        (["resize", "a", "--run-at", "tomorrow"], 2, "2030"),
        (["resize", "a", "--run-at", "2030-01-01T00:00"], 2, "time zone"),
        (["resize", "a", "--run-at", "2030-01-01T00:00Z", "--delay", "5"], 2, "--delay"),
    ],
)
def test_a_wrong_call_enqueues_nothing(shop, typed, code, message):
    done = shop.run("enqueue", *typed)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
    assert shop.ok("jobs", "list", "--json").json == []


def test_a_short_name_that_two_tasks_share(shop):
    shop.write("other.py", "from shop import app\n@app.task\ndef resize() -> None: ...\n")
    shop.write("both.py", "from shop import app\nimport other\n")
    done = shop.run("enqueue", "resize", "a", "--app", "both:app")
    assert done.code == 1
    assert "other.resize" in done.err
    assert shop.run("enqueue", "other.resize", "--app", "both:app").code == 0


def test_options_of_the_job(shop):
    id = shop.enqueue(
        *("resize", "a", "--queue", "slow", "--priority", "7", "--owner", "u1", "--key", "k"),
        *("--tag", "x", "--tag", "y", "--delay", "2h"),
    )
    found = job(shop, id)
    assert {name: found[name] for name in ("queue", "priority", "owner", "key", "tags", "state")} == {
        "queue": "slow",
        "priority": 7,
        "owner": "u1",
        "key": "k",
        "tags": ["x", "y"],
        "state": "scheduled",
    }
    wait = datetime.fromisoformat(found["run_at"]) - datetime.fromisoformat(found["created_at"])
    assert wait.total_seconds() == 7200
    again = shop.ok("enqueue", "resize", "b", "--key", "k", "--json")
    assert again.json == {"id": id, "created": False}
    assert "key" in again.err


def test_a_time_to_run_at(shop):
    found = job(shop, shop.enqueue("resize", "a", "--run-at", "2999-01-02T03:04:05+01:00"))
    assert datetime.fromisoformat(found["run_at"]) == datetime(2999, 1, 2, 2, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(("task", "code"), [("resize", 0), ("broken", 1), ("refuse", 1)])
def test_waiting_for_the_end(shop, task, code):
    worker = shop.spawn("worker", "--log-level", "error")
    try:
        args = ("x",) if task == "resize" else ()
        done = shop.run("enqueue", task, *args, "--wait", "--timeout", "30s")
        assert done.code == code
        assert done.out == ('"x@200"\n' if task == "resize" else "")
        record = shop.run("enqueue", task, *args, "--wait", "--json")
        assert record.code == code
        assert record.json["task"] == f"shop.{task}"
    finally:
        worker.terminate()
        _, err = worker.communicate(timeout=30)
    assert worker.returncode == 0, err


def test_waiting_too_long(shop):
    done = shop.run("enqueue", "resize", "x", "--wait", "--timeout", "0")
    assert done.code == 1
    assert "queued" in done.err


def test_jobs_that_nobody_would_run_are_refused(shop, monkeypatch):
    shop.write(
        "brief.py", "from stoker import Stoker\napp = Stoker('memory://')\n@app.task\ndef t() -> int: return 5\n"
    )
    monkeypatch.setenv("STOKER_APP", "brief:app")
    assert shop.run("enqueue", "t").code == 2
    monkeypatch.setenv("STOKER_MODE", "async")
    assert shop.run("enqueue", "t").code == 2
    assert shop.ok("enqueue", "t", "--wait").out == "5\n"
    monkeypatch.setenv("STOKER_MODE", "foreground")
    assert shop.ok("enqueue", "t", "--wait").out == "5\n"
    assert shop.run("worker").code == 2


# --- workers ----------------------------------------------------------------------------------------------------------


def test_draining(shop):
    one, two = shop.enqueue("resize", "a"), shop.enqueue("broken")
    shop.drain()
    assert shop.states() == {one: "completed", two: "failed"}


def test_only_these_queues(shop):
    one, two = shop.enqueue("resize", "a"), shop.enqueue("mail", "a")
    shop.ok("worker", "-q", "mail:1", "--drain")
    assert shop.states() == {one: "queued", two: "completed"}


def test_only_these_tags(shop):
    ids = [shop.enqueue("resize", "a", *tag) for tag in ([], ["--tag", "gpu"], ["--tag", "big"])]
    shop.ok("worker", "--tags", "gpu,huge", "--drain")
    assert [shop.states()[id] for id in ids] == ["queued", "completed", "queued"]
    shop.ok("worker", "--untagged", "--drain")
    assert [shop.states()[id] for id in ids] == ["completed", "completed", "queued"]


def test_start_is_the_worker(shop):
    id = shop.enqueue("resize", "a")
    shop.ok("start", "--drain", "--no-server", "--no-scheduler")
    assert shop.states() == {id: "completed"}
    assert shop.run("start", "--no-worker", "--no-scheduler", "--no-server").code == 2


@pytest.mark.parametrize("wrong", [["-q", "mail:0"], ["-q", "mail:x"], ["-q", ":4"], ["-c", "0"], ["--lease", "0.5"]])
def test_wrong_options_of_a_worker(shop, wrong):
    assert shop.run("worker", *wrong).code == 2


def test_options_reach_the_worker(shop, monkeypatch):
    seen = []
    monkeypatch.setattr("stoker.cli.work.run_fleet", lambda *args, **named: seen.append((args, named)) or 5)
    monkeypatch.setenv("STOKER_PROCESSES", "3")
    assert (
        shop.run("worker", "-q", "a:b:2", "-q", "c", "-c", "9", "--grace", "1m", "--lease", "20", "--reload").code == 5
    )
    [((target, options), named)] = seen
    assert (target, named) == ("shop:app", {"processes": 3, "reload": True, "parts": Parts()})
    assert (options.queues, options.concurrency, options.grace, options.lease) == ({"a:b": 2, "c": None}, 9, 60, 20)
    assert not options.drain


def test_a_worker_says_what_it_does_and_obeys_a_signal(shop, eventually):
    id = shop.enqueue("broken")
    worker = shop.spawn("worker", "-c", "2")
    try:
        eventually(lambda: shop.states()[id] == "failed")
        [known] = shop.ok("workers", "list", "--json").json
        assert (known["pid"], known["concurrency"], known["alive"]) == (worker.pid, 2, True)
    finally:
        os.kill(worker.pid, signal.SIGINT)
        _, err = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert b"started" in err
    assert b"shop.broken" in err
    assert b"\x1b" not in err
    assert "\x9b".encode() not in err


def test_a_fleet(shop, eventually):
    worker = shop.spawn("worker", "--processes", "2", "--log-level", "warning")
    try:
        eventually(lambda: len(shop.ok("workers", "list", "--json").json) == 2)
        id = shop.enqueue("broken")
        eventually(lambda: shop.states()[id] == "failed")
    finally:
        worker.terminate()
        _, err = worker.communicate(timeout=30)
    assert worker.returncode == 0
    [record] = records(err)
    [line] = record.splitlines()
    assert b"shop.broken" in line
    assert b"\\x1b" in line
    assert b"\x1b" not in line


def records(log):
    """What was logged, but for words about a process that a busy machine gave no time to."""
    told = re.split(rb"^(?=\d{4}-\d\d-\d\d )", log, flags=re.MULTILINE)
    return [record for record in told if record and b"the event loop has been blocked" not in record]


def test_a_worker_without_tasks_says_so(shop):
    shop.write("bare.py", "from stoker import Stoker\napp = Stoker('sqlite:///jobs.db')\n")
    assert "no tasks" in shop.ok("worker", "--app", "bare:app", "--drain").err


def test_json_on_waiting_is_the_record(shop):
    done = shop.process("enqueue", "resize", "a", "--json")
    assert set(json.loads(done.out)) == {"id", "created"}
