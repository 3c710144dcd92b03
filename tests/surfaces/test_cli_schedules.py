"""`stoker schedules`, `stoker scheduler`, and the schedules of the configuration file."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from stoker import ConfigError, Stoker
from stoker.settings import load

DECLARED = """
app.schedules.daily(mail, at="03:00", tz="Europe/Berlin", args=["me"], name="nightly")
app.schedules.every(3600, broken, name="hourly-break")
"""


@pytest.fixture
def planned(shop):
    """A shop whose app declares schedules."""
    with (shop.folder / "shop.py").open("a") as file:
        file.write(DECLARED)
    return shop


def named(shop, *args):
    return {one["name"]: one for one in shop.ok("schedules", "list", "--json", *args).json}


def toml(shop, text):
    shop.write("stoker.toml", 'app = "shop:app"\n' + text)


# --- seeing ---------------------------------------------------------------------------------------------------------


def test_list_shows_what_is_declared_before_anybody_took_it_up(planned):
    out = planned.ok("schedules", "list").out
    lines = out.splitlines()
    assert lines[0].split() == ["SCHEDULE", "WHEN", "ZONE", "TASK", "NEXT", "LAST"]
    assert "every day at 03:00" in out
    found = named(planned)
    assert set(found) == {"nightly", "hourly-break"}
    nightly = found["nightly"]
    assert (nightly["tz"], nightly["task"], nightly["args"]) == ("Europe/Berlin", "shop.mail", ["me"])
    assert (nightly["state"], nightly["queue"], nightly["origin"]) == ("active", "mail", "code:shop")
    assert datetime.fromisoformat(nightly["next_at"]).utcoffset() is not None


def test_an_empty_list_is_said(shop):
    shop.ok("migrate")
    assert "there are no schedules" in shop.ok("schedules", "list").err
    assert shop.ok("schedules", "list", "--json").json == []


def test_show(planned):
    planned.ok("schedules", "run", "nightly")
    out = planned.ok("schedules", "show", "nightly").out
    for word in ("nightly", "every day at 03:00", "Europe/Berlin", "shop.mail", "code:shop", "by hand"):
        assert word in out
    assert (
        len([line for line in out.splitlines() if " 03:00:00+0" in line]) == 5
    )  # not the run by hand, at whatever hour
    shown = planned.ok("schedules", "show", "nightly", "--json").json
    assert [run["why"] for run in shown["runs"]] == ["by hand"]


# --- next -----------------------------------------------------------------------------------------------------------


def test_next_of_an_expression(shop):
    out = shop.ok("schedules", "next", "every day at 16:00", "--tz", "Europe/Berlin").out
    lines = out.splitlines()
    assert len(lines) == 5
    assert all(line.endswith("Europe/Berlin") and " 16:00:00+0" in line for line in lines)
    times = shop.ok("schedules", "next", "*/5 9-17 * * mon-fri", "-n", "3", "--json").json
    assert len(times) == 3
    assert all(datetime.fromisoformat(time).minute % 5 == 0 for time in times)
    assert not (shop.folder / "jobs.db").exists()


def test_next_without_any_app(shop, monkeypatch):
    monkeypatch.delenv("STOKER_APP")
    assert len(shop.ok("schedules", "next", "hourly", "--json").json) == 5
    assert not list(shop.folder.glob("*.db"))


def test_next_of_a_schedule(planned):
    times = planned.ok("schedules", "next", "nightly", "--json").json
    assert all("T03:00:00+0" in time for time in times)


def test_next_of_nonsense_is_a_usage_error(shop):
    done = shop.run("schedules", "next", "every now and then")
    assert done.code == 2
    assert "the word 'now' means nothing here" in done.err
    assert "As cron" in done.err
    assert shop.run("schedules", "next", "hourly", "--tz", "Mars/Base").code == 2


# --- changing -------------------------------------------------------------------------------------------------------


def test_add(shop):
    done = shop.ok("schedules", "add", "every weekday at 9:30", "resize", "a.jpg", "width=80", "--tz", "UTC", "--yes")
    assert len([line for line in done.out.splitlines() if "09:30:00Z" in line]) >= 5
    [made] = named(shop).values()
    assert (made["name"], made["origin"]) == ("shop.resize", "api")
    assert (made["args"], made["kwargs"]) == (["a.jpg"], {"width": 80})
    more = ("--misfire", "all", "--overlap", "skip", "--jitter", "30", "--queue", "slow", "--priority", "5", "--yes")
    done = shop.ok("schedules", "add", "hourly", "resize", "b.jpg", "--name", "r", *more, "--json")
    [made] = done.json
    assert (made["misfire"], made["overlap"], made["jitter"], made["queue"]) == ("all", "skip", 30.0, "slow")


def test_add_asks(shop, monkeypatch):
    done = shop.run("schedules", "add", "hourly", "resize", "a.jpg")
    assert done.code == 2
    assert "--yes" in done.err
    assert named(shop) == {}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("every tea time", "resize", "a"), "means nothing here"),
        (("hourly", "resize"), "missing"),
        (("hourly", "resize", "a", "width=wide"), "width"),
        (("hourly", "nothing"), "nothing"),
        (("hourly", "resize", "a", "--misfire", "never"), "misfire must be one of"),
        (("0 0 31 2 *", "resize", "a"), "never comes"),
    ],
)
def test_add_refuses_what_cannot_be(shop, args, message):
    done = shop.run("schedules", "add", *args, "--yes")
    assert done.code in (1, 2)
    assert message in done.err
    assert named(shop) == {}


def test_pause_and_resume(planned):
    assert "nightly is paused" in planned.ok("schedules", "pause", "nightly").out
    assert named(planned)["nightly"]["state"] == "paused"
    [resumed] = planned.ok("schedules", "resume", "nightly", "--json").json
    assert (resumed["state"], resumed["name"]) == ("active", "nightly")
    done = planned.run("schedules", "pause", "nobody")
    assert done.code == 1
    assert "there is no schedule 'nobody'" in done.err


def test_run(planned):
    id = planned.ok("schedules", "run", "nightly").out.strip()
    assert planned.states()[id] == "queued"
    done = planned.ok("schedules", "run", "nightly", "--json").json
    assert done["schedule"] == "nightly"
    assert done["id"] in planned.states()


def test_remove(planned):
    planned.ok("schedules", "add", "hourly", "resize", "a", "--name", "mine", "--yes")
    assert planned.run("schedules", "remove", "mine").code == 2
    assert "mine" in named(planned)
    assert "mine is removed" in planned.ok("schedules", "remove", "mine", "--yes").out
    assert "it comes back" in planned.ok("schedules", "remove", "nightly", "--yes").out
    assert planned.run("schedules", "remove", "mine", "--yes").code == 1


# --- processes ------------------------------------------------------------------------------------------------------


def ended(process):
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.decode()


def states_of(shop, schedule):
    with Stoker(shop.url) as app:
        return [job.state.value for job in app.jobs.list(limit=500) if job.schedule == schedule]


@pytest.mark.parametrize(
    ("command", "schedules", "works"),
    [
        (("worker",), True, True),
        (("worker", "--processes", "2"), True, True),
        (("worker", "--no-scheduler"), False, True),
        (("scheduler",), True, False),
        (("start", "--port", "0"), True, True),
        (("start", "--no-worker", "--port", "0"), True, False),
        (("start", "--no-scheduler", "--no-server"), False, True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_who_fires_and_who_runs(shop, eventually, command, schedules, works):
    shop.ok("schedules", "add", "every 0.3 seconds", "resize", "a.jpg", "--name", "pulse", "--yes")
    job = shop.enqueue("resize", "b.jpg")
    process = shop.spawn(*command)
    try:
        if works:
            eventually(lambda: shop.states()[job] == "completed")
        if schedules:
            eventually(lambda: len(states_of(shop, "pulse")) >= 3)
        if schedules and works:
            eventually(lambda: "completed" in states_of(shop, "pulse"))
        else:
            time.sleep(0.7)
            assert schedules == bool(states_of(shop, "pulse"))
            assert works == (shop.states()[job] == "completed")
    finally:
        code, err = ended(process)
    assert code == 0, err
    assert "Traceback" not in err


def test_drain_fires_nothing(shop):
    shop.ok("schedules", "add", "every 0.1 seconds", "resize", "a.jpg", "--name", "pulse", "--yes")
    time.sleep(0.3)
    shop.drain()
    assert states_of(shop, "pulse") == []


def test_nothing_to_start_is_a_usage_error(shop):
    assert shop.run("start", "--no-worker", "--no-scheduler", "--no-server").code == 2


# --- the configuration file -----------------------------------------------------------------------------------------

TABLES = """
[[schedules]]
name = "thumbs"
schedule = "every weekday at 9:30"
task = "resize"
args = ["a.jpg"]
kwargs = { width = 80 }
tz = "Europe/Berlin"
start = 2020-01-01T00:00:00Z
misfire = "all"
options = { queue = "slow", priority = 3 }

[[schedules]]
name = "backup"
schedule = "every 0.5 seconds"
shell = "echo saved; echo to disk >&2; echo $STOKER_WORD"
"""


def test_schedules_of_the_file(shop):
    toml(shop, TABLES)
    found = named(shop)
    thumbs = found["thumbs"]
    assert (thumbs["task"], thumbs["queue"], thumbs["kwargs"]) == ("shop.resize", "slow", {"width": 80})
    assert (thumbs["origin"], thumbs["misfire"], thumbs["start"]) == ("file:shop", "all", "2020-01-01T00:00:00Z")
    assert (found["backup"]["task"], found["backup"]["args"]) == ("stoker.shell", ["backup"])


def test_pyproject_has_them_as_well(shop):
    shop.write("pyproject.toml", '[[tool.stoker.schedules]]\nname = "p"\nschedule = "@daily"\ntask = "broken"\n')
    assert set(named(shop)) == {"p"}


def test_without_the_apps_code_they_are_nobodys(shop):
    toml(shop, TABLES)
    shop.ok("migrate")
    assert set(named(shop, "--url", shop.url)) == {"backup"}


def test_a_shell_line_runs_and_keeps_its_last_words(shop, eventually, monkeypatch):
    toml(shop, TABLES)
    process = shop.spawn("start", "--no-server", env=os.environ | {"STOKER_WORD": "today"})
    try:
        eventually(lambda: "completed" in states_of(shop, "backup"))
    finally:
        ended(process)
    jobs = shop.ok("jobs", "list", "--json").json
    done = next(job for job in jobs if job["state"] == "completed" and job["schedule"] == "backup")
    assert done["result"] == {"exit": 0, "output": "saved\nto disk\ntoday\n"}
    assert done["message"] == "saved\nto disk\ntoday\n"


def shell(shop, line, **more):
    """Run a line once, by a worker; its job."""
    extra = "".join(f"{name} = {value}\n" for name, value in more.items())
    toml(shop, f'[[schedules]]\nname = "line"\nschedule = "@yearly"\nshell = """{line}"""\n{extra}')
    id = shop.ok("schedules", "run", "line").out.strip()
    shop.drain()
    return shop.ok("jobs", "show", id, "--json").json


def test_an_exit_code_is_a_failure(shop):
    job = shell(shop, "echo half; exit 3")
    assert job["state"] == "failed"
    assert "exit code 3: half" in job["error"]


def test_a_signal_is_a_failure(shop):
    assert "signal SIGKILL" in shell(shop, "kill -9 $$")["error"]


def test_only_the_end_of_much_output_is_kept(shop):
    job = shell(shop, "seq 1 100000")
    assert job["result"]["output"].endswith("99999\n100000\n")
    assert len(job["result"]["output"]) == 4000


def test_a_timeout_ends_all_that_the_line_started(shop, eventually):
    nap = f"61.{os.getpid()}"  # no other process sleeps for just so long
    job = shell(shop, f"(sleep {nap}; touch behind) & sleep {nap}; touch ahead", timeout="1.0")
    assert job["state"] == "failed"
    eventually(lambda: not sleepers(nap))  # a process that is killed is there for a moment yet
    assert not (shop.folder / "behind").exists(), "nobody waited until they ended by themselves"
    assert not (shop.folder / "ahead").exists()


def sleepers(nap):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", nap.encode()]:
            found.append(path)
    return found


def test_nobody_who_can_enqueue_can_run_a_line_of_his_own(shop):
    """The job names a line, and the worker's own file has it or not."""
    toml(shop, TABLES)
    id = shop.enqueue("stoker.shell", "echo mine")
    shop.drain()
    job = shop.ok("jobs", "show", id, "--json").json
    assert job["state"] == "failed"
    assert "has no shell line 'echo mine'; it has backup" in job["error"]


def test_who_has_no_lines_does_not_know_the_task(shop):
    assert shop.run("enqueue", "stoker.shell", "backup").code == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\nschedule = "@daily"', "give either task or shell"),
        ('name = "x"\nschedule = "@daily"\ntask = "t"\nshell = "ls"', "give either task or shell"),
        ('schedule = "@daily"\ntask = "t"', "name"),
        ('name = "x"\nschedule = "now and then"\ntask = "t"', "not understood"),
        ('name = "x"\nschedule = "@daily"\ntask = "t"\ntz = "Mars/Base"', "no time zone"),
        ('name = "x"\nschedule = "@daily"\ntask = "t"\nevery = 5', "every"),
        ('name = "x"\nschedule = "@daily"\nshell = "ls"\nargs = [1]', "takes no args"),
        ('name = "x"\nschedule = "@daily"\ntask = "t"\ntimeout = 5', "timeout is for shell lines"),
        ('name = "x"\nschedule = "@daily"\nshell = "ls"\nmisfire = "never"', "misfire"),
    ],
)
def test_mistakes_in_the_file_are_named(shop, text, message):
    toml(shop, f"[[schedules]]\n{text}\n")
    done = shop.run("schedules", "list")
    assert done.code == 2
    assert message in done.err
    assert "[[schedules]]" in done.err


def test_two_of_one_name_in_the_file(shop):
    toml(shop, TABLES.replace("thumbs", "backup"))
    assert "another name=" in shop.run("schedules", "list").err


def test_the_environment_declares_no_schedules():
    with pytest.raises(ConfigError, match="schedules"):
        load(environ={"STOKER_SCHEDULES": "@daily"})


def test_a_task_that_is_not_there_is_told_and_holds_up_no_other(shop, eventually):
    toml(shop, TABLES.replace('"resize"', '"resise"'))
    process = shop.spawn("start", "--no-server")
    try:
        eventually(lambda: "completed" in states_of(shop, "backup"))
    finally:
        _, err = ended(process)
    assert "the schedule 'thumbs' is not served by this process" in err
    assert "resise" in err
