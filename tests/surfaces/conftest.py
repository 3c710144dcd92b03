"""A terminal for tests of the command line: a folder with a small app, and the command, in this process or its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

APP = """
import asyncio
from stoker import Cancel, Context, Stoker

app = Stoker("URL")


@app.task
async def resize(path: str, width: int = 200) -> str:
    return f"{path}@{width}"


@app.task(queue="mail")
async def mail(to: str, *, ctx: Context) -> None:
    ctx.progress(1, 2, "half of [bold]it[/bold]")


@app.task
async def broken() -> None:
    raise RuntimeError("no [red]luck[/red] \\x1b[31mtoday\\x9b")


@app.task
async def refuse() -> None:
    raise Cancel("not wanted")


@app.task
async def slow(*, ctx: Context) -> int:
    for done in range(10_000):
        ctx.progress(done, 10_000)
        await asyncio.sleep(0.02)
    return 1
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shop:
    """A folder with an app in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
        self.folder = folder
        self.url = url
        self._capsys = capsys
        self.write("shop.py", APP.replace("URL", url))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def run(self, *args: str) -> Done:
        """Run the command in this process."""
        from stoker.cli.app import run

        self.forget()
        self._capsys.readouterr()
        code = run(args)
        out, err = self._capsys.readouterr()
        return Done(code, out, err)

    def forget(self) -> None:
        """Forget what was imported from here: a command closes the app that it used."""
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(str(self.folder)):
                del sys.modules[name]
        importlib.invalidate_caches()

    def ok(self, *args: str) -> Done:
        done = self.run(*args)
        assert done.code == 0, done
        return done

    def enqueue(self, *args: str) -> str:
        return self.ok("enqueue", *args).out.strip()

    def drain(self) -> None:
        self.ok("worker", "--drain")

    def states(self) -> dict[str, str]:
        return {job["id"]: job["state"] for job in self.ok("jobs", "list", "--json").json}

    def spawn(self, *args: str, **options: Any) -> subprocess.Popen[bytes]:
        """Run the command as a process of its own."""
        command = [sys.executable, "-m", "stoker", *args]
        return subprocess.Popen(command, cwd=self.folder, stdout=-1, stderr=-1, **options)

    def process(self, *args: str, input: bytes | None = None, env: dict[str, str] | None = None) -> Done:
        """Run the command as a process of its own, to its end."""
        command = [sys.executable, "-m", "stoker", *args]
        done = subprocess.run(
            command,
            cwd=self.folder,
            input=input or b"",
            env=os.environ | (env or {}),
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def url() -> str:
    """Where the shop's jobs are; a file of tests may have it on every store."""
    return "sqlite:///jobs.db"


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> Iterator[Shop]:
    for name in [name for name in os.environ if name.startswith("STOKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOKER_APP", "shop:app")
    monkeypatch.setenv("STOKER_LOG_LEVEL", "INFO")  # the worker sets it; this puts it back
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    made = Shop(tmp_path, capsys, url)
    yield made
    made.forget()


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What the condition returned once it was true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return found


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return until
