"""The command's way in, its help, and how it finds the app."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from stoker.cli.app import app

ROOT = typer.main.get_command(app)


def commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inside = getattr(command, "commands", None)
    if inside is None:
        yield path, command
        return
    for name, one in inside.items():
        yield from commands(one, (*path, name))


COMMANDS = dict(commands())
EXAMPLES = [
    (path, line.strip())
    for path, command in COMMANDS.items()
    for line in re.sub(r"(?<!\\)\[/?\w+\]", "", command.epilog or "").splitlines()
    if line.strip().startswith("stoker")
]


def test_every_command_of_the_design_is_there():
    jobs = ["list", "show", "cancel", "retry", "requeue", "tidy", "purge", "dump", "import", "watch"]
    wanted = {("jobs", name) for name in jobs} | {("queues", name) for name in ("list", "pause", "resume")}
    wanted |= {("workers", "list")}
    wanted |= {
        (name,)
        for name in [
            "demo",
            "init",
            "worker",
            "server",
            "start",
            "enqueue",
            "stats",
            "top",
            "doctor",
            "migrate",
            "bench",
        ]
    }
    assert wanted <= COMMANDS.keys()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example(path):
    assert path in [known for known, _ in EXAMPLES]


def protected(context: Any) -> list[str]:
    """Where the parser keeps the name of the command; it has been called both."""
    return context._protected_args if hasattr(context, "_protected_args") else context.protected_args


@pytest.mark.parametrize(("path", "example"), EXAMPLES, ids=[text for _, text in EXAMPLES])
def test_every_example_is_understood(path, example):
    for part in re.split(r" [|] ", example.split(" > ")[0]):
        words = shlex.split(part.replace("\\[", "["))
        if words[0] != "stoker":
            continue
        assert tuple(words[1 : len(path) + 1])[:1] == path[:1]
        context = ROOT.make_context("stoker", words[1:])
        command: Any = ROOT
        while getattr(command, "commands", None):
            name, command, rest = command.resolve_command(context, [*protected(context), *context.args])
            context = command.make_context(name, rest, parent=context)


def test_help_is_an_answer_and_a_wrong_command_is_not(shop):
    assert shop.ok("--help").out
    assert "example" in shop.ok("jobs", "purge", "--help").out.lower()
    assert shop.run("jobs", "wash").code == 2
    assert shop.run("jobs", "list", "--wash").code == 2
    assert shop.run("jobs", "show").code == 2


def test_python_dash_m(shop):
    done = shop.process("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("stoker ")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_one_line_says_what_to_install(shop, missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from stoker.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "stoker[cli]"' in done.stderr


# --- which app --------------------------------------------------------------------------------------------------------

BAD = {
    "nowhere:app": "no module 'nowhere'",
    "crooked:app": "NameError: name 'oops' is not defined",
    "leaving:app": "SystemExit",
    "shop:nothing": "no 'nothing'",
    "shop:resize": "not a Stoker",
    "two": "a, b",
    "empty": "no Stoker",
    "shop.py:app": "MODULE:ATTRIBUTE",
}


@pytest.mark.parametrize(
    "command", [("worker",), ("start",), ("server",), ("enqueue", "resize"), ("jobs", "list"), ("doctor",)]
)
@pytest.mark.parametrize("target", BAD)
def test_an_app_that_cannot_be_had_is_a_message_and_2(shop, target, command):
    shop.write("crooked.py", "oops")
    shop.write("leaving.py", "import sys; sys.exit(3)")
    shop.write("empty.py", "")
    shop.write("two.py", "from stoker import Stoker\na = Stoker()\nb = Stoker()\n")
    done = shop.run(*command, "--app", target)
    assert done.code == 2
    assert BAD[target] in done.err
    assert "site-packages" not in done.err
    assert done.out == ""


def test_no_app_at_all(shop, monkeypatch):
    monkeypatch.delenv("STOKER_APP")
    done = shop.run("enqueue", "resize")
    assert done.code == 2
    assert "--app" in done.err
    assert "STOKER_APP" in done.err


def test_the_app_comes_from_the_option_the_environment_or_a_file(shop, monkeypatch):
    monkeypatch.delenv("STOKER_APP")
    assert shop.ok("enqueue", "resize", "a.jpg", "--app", "shop:app").out
    assert shop.ok("--app", "shop:app", "enqueue", "resize", "a.jpg").out
    assert shop.ok("enqueue", "resize", "a.jpg", "--app", "shop").out, "one app in the module: no need to name it"
    shop.write("pyproject.toml", '[tool.stoker]\napp = "shop:app"\n')
    assert shop.ok("enqueue", "resize", "a.jpg").out
    shop.write("stoker.toml", 'app = "shop:nothing"\n')
    assert shop.run("enqueue", "resize", "a.jpg").code == 2
    monkeypatch.setenv("STOKER_APP", "shop:app")
    assert shop.ok("enqueue", "resize", "a.jpg").out


def test_managing_needs_no_code(shop, monkeypatch):
    id = shop.enqueue("resize", "a.jpg")
    monkeypatch.delenv("STOKER_APP")
    (shop.folder / "shop.py").unlink()
    assert shop.ok("jobs", "show", id, "--url", "sqlite:///jobs.db", "--json").json["id"] == id
    monkeypatch.setenv("STOKER_URL", "sqlite:///jobs.db")
    assert shop.ok("jobs", "list", "--json").json[0]["id"] == id
    for command in (["stats"], ["top", "--once"], ["queues", "list"], ["workers", "list"], ["migrate"]):
        shop.ok(*command)


def test_reading_a_store_that_is_not_there_does_not_make_it(shop, monkeypatch):
    monkeypatch.delenv("STOKER_APP")
    for command in (["jobs", "list"], ["stats"], ["queues", "list"], ["workers", "list"], ["top"]):
        done = shop.run(*command)
        assert done.code == 1
        assert "stoker.db" in done.err
    assert not list(shop.folder.glob("*.db*"))


def test_a_broken_app_says_how_to_manage_without_it(shop):
    assert "--url" in shop.run("jobs", "list", "--app", "nowhere:app").err


def test_an_app_and_a_url_at_once_is_a_usage_error(shop):
    assert shop.run("jobs", "list", "--app", "shop:app", "--url", "sqlite:///jobs.db").code == 2


@pytest.mark.parametrize("url", ["jobs.db", "mysql://x", "sqlite:///", "memory://"])
def test_a_url_that_no_command_can_use(shop, url):
    done = shop.run("jobs", "list", "--url", url)
    assert done.code == 2
    assert done.err.startswith("stoker: ")


def test_a_wrong_setting_is_named(shop):
    shop.write("stoker.toml", "concurency = 5\n")
    done = shop.run("stats")
    assert done.code == 2
    assert "concurency" in done.err
