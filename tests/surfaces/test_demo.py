"""`stoker demo` as its users run it: a real job on real files, with a worker that may be killed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PHRASE = "race condition"
WAIT = 120.0
"""seconds after which a test gives up; nothing is expected to take so long"""
SLOW = ("--slow", "4")
"""spreads the work, so that there is a time to kill somebody"""


@pytest.fixture
def texts(tmp_path):
    """A folder of 120 texts in which the phrase is found a known number of times, and things to be left out."""
    folder = tmp_path / "texts"
    for number in range(120):
        place = folder / f"part{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        lines = [f"line {line} of text {number}" for line in range(30)]
        for hit in range(number % 5):
            lines[3 * hit] += (" a Race Condition", " race\n    condition", " [bold]race condition[/bold]")[hit % 3]
        suffix = (".py", ".md", ".rst", ".txt")[number % 4]
        (place / f"text{number}{suffix}").write_text("\n".join(lines))
    (folder / "best.txt").write_text("\x1b[31mred\x1b[0m race condition " + "race condition\n" * 20)
    (folder / "latin.txt").write_bytes("café race condition".encode("latin-1"))
    (folder / "large.txt").write_text("race condition\n" * 70_000)
    (folder / "image.bin").write_text("race condition")
    (folder / "link.txt").symlink_to(folder / "best.txt")
    (folder / "round").symlink_to(folder)
    Path(os.fsdecode(bytes(folder) + b"/odd\xff.txt")).write_text("race condition")
    return folder


class Count:
    """What there is to be found, counted in another way than the demo does."""

    def __init__(self, folder):
        self.files = self.bytes = self.matches = self.matching = 0
        self.by_path = {}
        for path in folder.rglob("*"):
            if path.is_symlink() or path.suffix not in {".py", ".md", ".rst", ".txt"}:
                continue
            if path.name in {"latin.txt", "large.txt"} or "\udcff" in path.name:
                continue
            data = path.read_bytes()
            found = " ".join(data.decode().lower().split()).count(PHRASE)
            self.files += 1
            self.bytes += len(data)
            self.matches += found
            self.matching += found > 0
            if found:
                self.by_path[str(path)] = found


@pytest.fixture
def surroundings(tmp_path):
    """An environment in which nothing is configured, and a folder for temporary files that can be looked into."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    return kept | {"TMPDIR": str(temporary), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


def command(*args):
    return [sys.executable, "-m", "stoker", "demo", *map(str, args)]


def run(surroundings, *args):
    return subprocess.run(
        command(*args),
        env=surroundings,
        cwd=surroundings["TMPDIR"],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )


@contextmanager
def begun(surroundings, *args) -> Iterator[subprocess.Popen[str]]:
    """A demo that runs; killed if the test does not see its end."""
    process = subprocess.Popen(
        command(*args),
        env=surroundings,
        cwd=surroundings["TMPDIR"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    bell = threading.Timer(WAIT, process.kill)
    bell.start()
    try:
        yield process
    finally:
        bell.cancel()
        process.kill()
        process.communicate()


def read_until(process, pattern):
    """The first match among the lines that come; fails when there are no more."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"nothing like {pattern!r} in:\n{''.join(seen)}")


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def check_result(result, count):
    assert result["files"] == count.files + 1  # the one that is not UTF-8 is listed, too
    assert result["searched"] == count.files
    assert result["bytes"] == count.bytes
    assert result["matches"] == count.matches
    assert result["matching"] == count.matching
    assert (result["undecodable"], result["too_large"], result["beyond"]) == (1, 1, 0)
    assert {hit["path"]: hit["matches"] for hit in result["best"]} == count.by_path
    ranks = [(-hit["matches"], -hit["density"], hit["path"]) for hit in result["best"]]
    assert ranks == sorted(ranks)


def test_result_is_what_another_count_says(texts, surroundings):
    done = run(surroundings, "--path", texts, "--find", "RACE  condition", "--json", "--limit", 100)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    check_result(told["result"], Count(texts))
    assert told["job"]["state"] == "completed"
    assert (told["job"]["attempt"], told["job"]["crashes"]) == (1, 0)
    assert told["result"]["starts"] == [{"attempt": 1, "position": 0}]
    [worker] = told["workers"]
    assert worker["ended"] == "stopped"
    assert gone(worker["pid"])
    assert os.listdir(surroundings["TMPDIR"]) == []


def test_overlapping_paths_count_once(texts, surroundings):
    single = texts / "best.txt"
    done = run(surroundings, "--path", texts, "--path", texts / "part1", "--path", single, "--json", "--limit", 100)
    check_result(json.loads(done.stdout)["result"], Count(texts))


def test_limit_shows_the_best(texts, surroundings):
    done = run(surroundings, "--path", texts, "--limit", 1, "--json")
    [best] = json.loads(done.stdout)["result"]["best"]
    assert best["path"] == str(texts / "best.txt")
    assert best["matches"] == 21
    assert best["line"] == 1
    assert "\x1b" not in best["excerpt"]


def test_crash_goes_on_from_the_checkpoint(texts, surroundings):
    done = run(surroundings, "--path", texts, "--crash", "--json", "--limit", 100, *SLOW)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    count = Count(texts)
    check_result(told["result"], count)
    assert told["job"]["state"] == "completed"
    assert (told["job"]["attempt"], told["job"]["crashes"]) == (2, 1)
    first, second = told["result"]["starts"]
    assert first == {"attempt": 1, "position": 0}
    assert second["attempt"] == 2
    assert count.files // 3 <= second["position"] < count.files
    killed, successor = told["workers"]
    assert killed["ended"] == "killed by SIGKILL"
    assert successor["ended"] == "stopped"
    assert f"goes on at file {second['position'] + 1}" in done.stderr


def test_worker_killed_by_hand_is_replaced(texts, surroundings):
    with begun(surroundings, "--path", texts, *SLOW) as process:
        pid = int(read_until(process, r"worker +pid (\d+)")[1])
        read_until(process, r"\d% ")
        os.kill(pid, signal.SIGKILL)
        read_until(process, f"worker {pid} was killed by SIGKILL and took the job with it")
        successor = int(read_until(process, r"worker (\d+) started in its place")[1])
        position = int(read_until(process, r"attempt 2 goes on at file (\d+)")[1])
        assert position > 1
        count = Count(texts)
        read_until(process, rf"^{count.matches} matches in {count.matching} of {count.files} files")
        read_until(process, f"attempts +2, after 1 crash; attempt 2 began at file {position}")
        assert process.wait(WAIT) == 0
    assert gone(pid)
    assert gone(successor)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_cancels_and_leaves_nothing(texts, surroundings, number, code):
    with begun(surroundings, "--path", texts, *SLOW) as process:
        pid = int(read_until(process, r"worker +pid (\d+)")[1])
        read_until(process, r"\d% ")
        process.send_signal(number)
        read_until(process, "job +.* cancelled")
        assert "Traceback" not in process.stdout.read()
        assert process.wait(WAIT) == code
    assert gone(pid)
    assert os.listdir(surroundings["TMPDIR"]) == []


def test_worker_does_not_outlive_a_killed_demo(texts, surroundings):
    with begun(surroundings, "--path", texts, *SLOW) as process:
        pid = int(read_until(process, r"worker +pid (\d+)")[1])
        read_until(process, r"\d% ")
        worker = os.pidfd_open(pid)
        process.kill()
    with os.fdopen(worker) as ended:
        assert wait_readable(ended.fileno())


def wait_readable(descriptor):
    return select.select([descriptor], [], [], WAIT)[0] == [descriptor]


def test_keep_says_how_to_look(texts, surroundings):
    done = run(surroundings, "--path", texts, "--keep")
    url = re.search(r"stoker jobs list --url (\S+)", done.stdout)[1]
    shown = subprocess.run(
        [sys.executable, "-m", "stoker", "jobs", "list", "--url", url, "--json"],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    assert "completed" in shown.stdout


def test_job_on_ones_own_store_is_removed_at_the_end(texts, surroundings, tmp_path):
    url = f"sqlite:///{tmp_path}/own.db"
    done = run(surroundings | {"STOKER_URL": url}, "--path", texts)
    assert done.returncode == 0, done.stderr
    assert url in done.stdout
    shown = subprocess.run(
        [sys.executable, "-m", "stoker", "jobs", "list", "--url", url],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    assert "stoker.demo" not in shown.stdout


def test_piped_output_is_plain_lines(texts, surroundings):
    done = run(surroundings, "--path", texts)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert re.search(r"^ +1\. 21 matches, [\d.]+ per 1,000 words  .*best\.txt:1$", done.stdout, re.MULTILINE)
    assert re.search(r"^100%  122/122 files", done.stdout, re.MULTILINE)


def test_terminal_gets_a_bar_and_nothing_from_the_files(texts, surroundings):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("--path", texts, "--find", PHRASE),
        env=surroundings | {"TERM": "xterm-256color", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    bell = threading.Timer(WAIT, process.kill)
    bell.start()
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the other end was closed: this is how Linux says so
        pass
    bell.cancel()
    os.close(ours)
    assert process.wait(WAIT) == 0
    text = shown.decode()
    assert "━" in text
    assert "100%" in text
    assert "\x1b[31mred" not in text
    assert "[bold]" in text  # what looks like markup in a file is shown as it is
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)
    assert max(len(line.rstrip()) for line in plain.replace("\r", "\n").split("\n")) <= 80


def test_no_hits_is_no_error(texts, surroundings):
    done = run(surroundings, "--path", texts, "--find", "xyzzy plugh")
    assert done.returncode == 0
    assert "No hits: 'xyzzy plugh' is in none of 121 files." in done.stdout


def test_crash_that_came_too_late_is_admitted(texts, surroundings):
    done = run(surroundings, "--path", texts / "best.txt", "--crash", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["result"]["matches"] == 21
    assert told["job"]["crashes"] == 0  # one file is done in one step: there is no third of it
    assert "done before its worker could be killed" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--path", "/does/not/exist"], "--path /does/not/exist does not exist"),
        (["--find", ""], "--find is empty"),
        (["--find", " \t\n"], "--find is empty"),
        (["--find", b"\xff\xfe"], "--find is not text"),
        (["--path", "EMPTY"], "there is no readable text"),
        (["--path", "BINARY"], "there is no readable text"),
    ],
)
def test_bad_input_is_one_line_and_2(surroundings, tmp_path, args, said):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "BINARY").mkdir()
    (tmp_path / "BINARY" / "image.txt").write_bytes(bytes(range(256)))
    args = [str(tmp_path / arg) if arg in {"EMPTY", "BINARY"} else arg for arg in args]
    done = subprocess.run(
        [*command(), *args],
        env=surroundings | {"TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert said in line
    assert os.listdir(surroundings["TMPDIR"]) == []


def test_store_in_memory_is_refused(surroundings, texts):
    done = run(surroundings | {"STOKER_URL": "memory://"}, "--path", texts)
    assert done.returncode == 2
    assert "memory://" in done.stderr
    assert done.stdout == ""
