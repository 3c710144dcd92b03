"""`stoker jobs`: finding, showing, changing, moving, watching."""

from __future__ import annotations

import io
import json
import signal

import pytest

import places
from stoker import clock
from stoker.connect import connect
from stoker.job import Job, NewJob
from stoker.store import Routing, Want, Worker

HOUR = 3600 * clock.SECOND


@pytest.fixture
def answers(monkeypatch):
    """Have somebody at the terminal who answers."""

    class Keyboard(io.StringIO):
        def isatty(self):
            return True

    def answer(text):
        monkeypatch.setattr("sys.stdin", Keyboard(text))

    return answer


@pytest.fixture(params=["sqlite-normal", "postgres", "redis"])
def url(request, tmp_path):
    """Every store."""
    with places.fresh(request.param, tmp_path) as url:
        yield url


def abandoned(url, worker="dead", task="shop.resize"):
    """Make a job whose worker claimed it an hour ago and was never seen again; its id."""
    store, driver = connect(url, lambda: clock.now() - HOUR)
    [id] = clock.IdSource().take(1)
    driver.run(store.migrate())
    driver.run(store.insert([NewJob(id=id, task=task, payload='[["x"],{}]', queue="lost", keep_for=HOUR)]))
    driver.run(store.register(Worker(id=worker, host="h", pid=1, version="0", concurrency=1), 15 * clock.SECOND))
    reply = driver.run(store.exchange(worker, (), [Want("lost", 10)], Routing(frozenset({task})), 10))
    driver.close()
    assert [claim.id for claim in reply.claims] == [id]
    return id


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_list(shop):
    assert shop.ok("jobs", "list").out == ""
    assert shop.ok("jobs", "list", "--json").json == []
    ids = [shop.enqueue("resize", name) for name in "abc"]
    found = shop.ok("jobs", "list", "--json").json
    assert [job["id"] for job in found] == ids[::-1]
    assert set(found[0]) == set(Job.__struct_fields__)
    lines = shop.ok("jobs", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", *ids[::-1]], "whole ids, without a terminal"
    page = shop.ok("jobs", "list", "--limit", "2", "--json").json
    rest = shop.ok("jobs", "list", "--before", page[-1]["id"], "--json").json
    assert [job["id"] for job in page + rest] == ids[::-1]
    assert shop.run("jobs", "list", "--limit", "0").code == 2


def test_the_filters(shop):
    one = shop.enqueue("resize", "needle", "--owner", "u", "--tag", "t", "--key", "k")
    two = shop.enqueue("mail", "x")
    shop.ok("worker", "-q", "mail", "--drain")
    for wanted, *filters in [
        (one, "--task", "resize"),
        (one, "--task", "shop.resize"),
        (one, "--owner", "u"),
        (one, "--tag", "t"),
        (one, "--key", "k"),
        (one, "--text", "NEEDLE"),
        (one, "--queue", "default"),
        (one, "--state", "queued,failed"),
        (two, "--state", "completed"),
        (two, "-s", "failed", "-s", "completed"),
    ]:
        assert [job["id"] for job in shop.ok("jobs", "list", *filters, "--json").json] == [wanted], filters
    assert shop.ok("jobs", "list", "--older-than", "1h", "--json").json == []
    assert len(shop.ok("jobs", "list", "--older-than", "0", "--json").json) == 2
    for wrong in (["--state", "done"], ["--older-than", "soon"], ["--older-than", "5y"], ["--older-than", "-5"]):
        assert shop.run("jobs", "list", *wrong).code == 2


def test_showing_one(shop):
    id = shop.enqueue("broken")
    assert "no worker is running" in shop.ok("jobs", "show", id).out
    shop.drain()
    text = shop.ok("jobs", "show", id).out
    assert "failed" in text
    assert "RuntimeError" in text
    assert "Traceback" in text
    record = shop.ok("jobs", "show", id, "--json").json
    assert set(record) == set(Job.__struct_fields__) | {"logs"}
    assert record["logs"] == []
    assert record["errors"][0]["type"] == "builtins.RuntimeError" or record["errors"][0]["type"] == "RuntimeError"


CHAT = """
from stoker import Context, Stoker

app = Stoker("URL")


@app.task(max_attempts=2, backoff=0)
def chat(*, ctx: Context) -> None:
    ctx.log.info("attempt %d says [red]so[/red] \\x1b[31m", ctx.attempt)
    ctx.log.warning("twice")
    if ctx.attempt == 1:
        raise ValueError
"""


def test_showing_what_each_attempt_logged(shop, monkeypatch):
    shop.write("chat.py", CHAT.replace("URL", shop.url))
    monkeypatch.setenv("STOKER_APP", "chat:app")
    id = shop.enqueue("chat")
    shop.drain()
    logs = shop.ok("jobs", "show", id, "--json").json["logs"]
    assert [(log["attempt"], log["text"].count("\n")) for log in logs] == [(1, 2), (2, 2)]
    assert all(set(log) == {"attempt", "fence", "text"} for log in logs)
    out = shop.ok("jobs", "show", id).out
    assert "\x1b" not in out
    lines = [line for line in out.splitlines() if "INFO" in line or "WARNING" in line]
    assert [line.startswith("log ") for line in lines] == [True, False] * 2
    assert "attempt 2 says [red]so[/red]" in lines[2]


def test_showing_why_a_job_waits(shop):
    id = shop.enqueue("mail", "x")
    shop.ok("queues", "pause", "mail")
    assert "paused" in shop.ok("jobs", "show", id).out
    assert "due in" in shop.ok("jobs", "show", shop.enqueue("mail", "x", "--delay", "1h")).out
    shop.write(
        "bare.py", "from stoker import Stoker\napp = Stoker('URL')\n@app.task\ndef t(): ...\n".replace("URL", shop.url)
    )
    assert "declares no task" in shop.ok("jobs", "show", id, "--app", "bare:app").out


@pytest.mark.parametrize("verb", ["show", "cancel", "retry", "watch"])
def test_an_unknown_id_is_an_error(shop, verb):
    done = shop.run("jobs", verb, "nobody")
    assert done.code == 1
    assert "nobody" in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete", "requeue"])
def test_an_unknown_id_among_several_changes_nothing(shop, verb):
    id = shop.enqueue("resize", "a")
    assert shop.run("jobs", verb, id, "nobody", "--yes").code == 1
    assert shop.states() == {id: "queued"}


def test_what_jobs_say_is_neither_markup_nor_a_command_to_the_terminal(shop, monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    id = shop.enqueue("broken", "--owner", "[bold]o\x1b]0;title\x07", "--tag", "[/red]")
    shop.drain()
    for command in (["list"], ["show", id], ["watch", id], ["list", "--json"], ["retry", id]):
        done = shop.run("jobs", *command)
        assert not set("\x1b\x07\x9b") & set(done.out + done.err), command
        if command[0] != "retry":
            assert "[red]luck[/red]" in done.out + done.err, command
    assert "[bold]o" in shop.ok("jobs", "show", id).out


def test_colours_only_on_a_terminal(shop):
    shop.enqueue("resize", "a")
    assert b"\x1b" not in shop.process("jobs", "list", env={"NO_COLOR": ""}).out.encode()
    coloured = shop.process("jobs", "list", env={"NO_COLOR": "", "FORCE_COLOR": "1", "TERM": "xterm"})
    assert b"\x1b" in coloured.out.encode()


# --- changing ---------------------------------------------------------------------------------------------------------


def test_cancel_and_retry_one(shop):
    id = shop.enqueue("resize", "a")
    shop.ok("jobs", "cancel", id, "--reason", "not needed")
    record = shop.ok("jobs", "show", id, "--json").json
    assert (record["state"], record["error"]) == ("cancelled", "not needed")
    again = shop.run("jobs", "cancel", id)
    assert again.code == 1
    assert "cancelled" in again.err
    assert shop.ok("jobs", "retry", id, "--json").json == {"matched": 1, "changed": 1}
    assert shop.states() == {id: "queued"}


MANY = [
    ["cancel", "--queue", "default"],
    ["retry", "--state", "failed"],
    ["delete", "--queue", "default"],
    ["requeue"],
    ["tidy"],
    ["purge"],
]


@pytest.mark.parametrize("command", MANY, ids=" ".join)
def test_without_a_terminal_many_are_not_changed_unasked(shop, command):
    ids = [shop.enqueue("resize", "a"), shop.enqueue("broken"), shop.enqueue("resize", "b")]
    shop.ok("jobs", "cancel", ids[2])
    shop.drain()
    ids += [shop.enqueue("resize", "c"), abandoned(shop.url)]
    before = shop.states()
    done = shop.run("jobs", *command)
    assert done.code == 2
    assert "--yes" in done.err
    assert done.out == ""
    assert shop.states() == before
    dry = shop.ok("jobs", *command, "--dry-run", "--json").json
    assert dry["matched"] > 0
    assert dry["changed"] == 0
    assert shop.states() == before
    assert shop.ok("jobs", *command, "--yes", "--json").json == {"matched": dry["matched"], "changed": dry["matched"]}
    assert shop.states() != before


@pytest.mark.parametrize("command", MANY, ids=" ".join)
def test_without_a_terminal_even_nothing_needs_a_yes(shop, command):
    assert shop.run("jobs", *command).code == 2
    assert shop.ok("jobs", *command, "--yes", "--json").json == {"matched": 0, "changed": 0}


def test_on_a_terminal_it_asks(shop, answers):
    ids = [shop.enqueue("resize", "a"), shop.enqueue("resize", "b")]
    answers("n\n")
    done = shop.run("jobs", "cancel", *ids)
    assert done.code == 1
    assert "2 jobs" in done.err
    assert set(shop.states().values()) == {"queued"}
    answers("y\n")
    assert shop.ok("jobs", "cancel", "--queue", "default").out == "cancelled 2 jobs\n"
    assert set(shop.states().values()) == {"cancelled"}


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
def test_all_jobs_must_be_meant(shop, verb):
    id = shop.enqueue("resize", "a")
    assert shop.run("jobs", verb, "--yes").code == 2
    assert shop.run("jobs", verb, id, "--queue", "default", "--yes").code == 2
    assert shop.states() == {id: "queued"}


def test_delete_asks_even_for_one(shop):
    id = shop.enqueue("resize", "a")
    assert shop.run("jobs", "delete", id).code == 2
    shop.ok("jobs", "delete", id, "--yes")
    assert shop.states() == {}


def test_purge_and_tidy_never_touch_unfinished_jobs(shop):
    queued, scheduled = shop.enqueue("mail", "a"), shop.enqueue("resize", "a", "--delay", "1h")
    done, failed = shop.enqueue("resize", "a"), shop.enqueue("broken")
    shop.ok("worker", "-q", "default", "--drain")
    processing = abandoned(shop.url)
    assert shop.run("jobs", "purge", "--state", "queued", "--yes").code == 2
    assert shop.ok("jobs", "purge", "--older-than", "1h", "--yes", "--json").json["changed"] == 0
    shop.ok("jobs", "tidy", "--yes")
    assert done not in shop.states()
    assert shop.states()[failed] == "failed"
    shop.ok("jobs", "purge", "--yes")
    assert shop.states() == {queued: "queued", scheduled: "scheduled", processing: "processing"}


def test_requeue_takes_only_what_is_of_the_dead(shop, eventually):
    running = shop.enqueue("slow")
    worker = shop.spawn("worker", "--log-level", "error", "-q", "default")
    try:
        eventually(lambda: shop.states()[running] == "processing")
        done = shop.ok("jobs", "requeue", "--yes", "--json").json
        assert done["changed"] == 0
        assert shop.states()[running] == "processing"
    finally:
        worker.kill()
        worker.communicate(timeout=30)
    lost = abandoned(shop.url)
    assert shop.ok("jobs", "requeue", "--older-than", "30m", "--yes", "--json").json["changed"] == 1
    assert shop.states()[lost] == "queued"


# --- moving -----------------------------------------------------------------------------------------------------------


def test_dump_into_import(shop):
    ids = [shop.enqueue("resize", "a"), shop.enqueue("broken"), shop.enqueue("mail", "x", "--delay", "1h")]
    shop.drain()
    dump = shop.process("jobs", "dump", "-")
    assert dump.code == 0
    lines = dump.out.splitlines()
    assert {json.loads(line)["id"] for line in lines} == set(ids)
    put = shop.process("jobs", "import", "-", "--url", "sqlite:///copy.db", "--json", input=dump.out.encode())
    assert put.json == {"changed": 3}
    again = shop.process("jobs", "import", "-", "--url", "sqlite:///copy.db", "--json", input=dump.out.encode())
    assert again.json == {"changed": 0}
    copies = shop.ok("jobs", "list", "--url", "sqlite:///copy.db", "--json").json
    assert copies == shop.ok("jobs", "list", "--json").json


def test_dump_to_a_file_by_filter(shop):
    shop.enqueue("resize", "a")
    id = shop.enqueue("mail", "a")
    assert "1 job" in shop.ok("jobs", "dump", "out.jsonl", "--queue", "mail").err
    assert json.loads((shop.folder / "out.jsonl").read_text())["id"] == id
    shop.ok("jobs", "delete", id, "--yes")
    shop.ok("jobs", "import", "out.jsonl")
    assert id in shop.states()


def test_what_cannot_be_imported(shop):
    shop.write("wrong.jsonl", "{}\n")
    for path in ("wrong.jsonl", "nowhere.jsonl", "."):
        done = shop.run("jobs", "import", path)
        assert done.code == 1
        assert done.err.startswith("stoker: ")
        assert "Traceback" not in done.err
    assert shop.run("jobs", "dump", "no/such/folder.jsonl").code == 1


def test_a_reader_that_goes_away_is_no_error_message(shop):
    shop.enqueue("resize", "a")
    process = shop.spawn("jobs", "dump", "-")
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(30)


# --- watching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "args", "code"), [("mail", ["x"], 0), ("broken", [], 1), ("refuse", [], 1)])
def test_watching_to_the_end(shop, task, args, code):
    id = shop.enqueue(task, *args)
    watcher = shop.spawn("jobs", "watch", id, "--json")
    first = json.loads(watcher.stdout.readline())
    assert (first["id"], first["state"]) == (id, "queued")
    shop.drain()
    out, err = watcher.communicate(timeout=30)
    assert watcher.returncode == code, err
    last = json.loads(out.splitlines()[-1])
    assert last["state"] == {"mail": "completed", "broken": "failed", "refuse": "cancelled"}[task]
    assert shop.run("jobs", "watch", id).code == code, "one that has ended already"


def test_watching_can_be_left(shop):
    watcher = shop.spawn("jobs", "watch", shop.enqueue("resize", "a"))
    assert watcher.stdout.readline() == b"queued\n"
    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=30)
    assert watcher.returncode != 0
    assert b"Traceback" not in err


def test_the_bar_shows_what_jobs_say_as_it_is(shop, monkeypatch):
    """On a terminal: the progress, and a message that looks like markup."""
    from rich.console import Console

    from stoker.app import Stoker
    from stoker.cli import watching
    from stoker.cli.output import Output

    shop.enqueue("mail", "x")
    id = shop.enqueue("mail", "y")
    shop.drain()
    screen = io.StringIO()
    monkeypatch.setattr(watching, "console", lambda: Console(file=screen, force_terminal=True, markup=False, width=120))
    monkeypatch.setattr(Output, "plain", False)
    with Stoker(shop.url) as app:
        assert watching.follow(app, id, Output()) == 0
    assert "half of [bold]it[/bold]" in screen.getvalue()
    assert "completed" in screen.getvalue()


def test_numbers_are_seconds_and_units_are_understood(shop):
    from stoker.cli.values import age

    assert [age(text) for text in ("90", "15m", "12h", "30d", "1.5h", "2w", "7s")] == [
        *(90, 900, 43200, 2592000, 5400, 1209600, 7)
    ]
