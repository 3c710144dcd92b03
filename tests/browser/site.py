"""A site to visit: an app with its workers and its server, as real processes on a real store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stoker import Stoker

WAIT = 60.0
"""seconds after which a process that should have answered, or ended, is given up"""

APP = '''
import asyncio
import os
from pathlib import Path

from stoker import Context, Stoker
from stoker.web import Identity

app = Stoker(os.environ["PLACE"], lease=2)


@app.task(expose=True)
async def steps(name: str, total: int = 10, *, ctx: Context) -> str:
    """Goes on for each line that a test writes into the file of that name."""
    done = ctx.checkpoint or 0
    ctx.log.info("begins at %d of %d", done, total)
    while done < total:
        ctx.progress(done, total, message=f"step {done}")
        while _allowed(name) <= done:
            await asyncio.sleep(0.02)
        done += 1
        ctx.save(done)
    ctx.progress(total, total, message="all done")
    return f"{name} has {total} steps"


def _allowed(name: str) -> int:
    path = Path(name)
    return len(path.read_text().splitlines()) if path.exists() else 0


@app.task(expose=True)
def boom(text: str) -> None:
    raise ValueError(text)


@app.task(expose=True)
def add(a: int, b: int = 1) -> int:
    return a + b


def identify(connection):
    name = connection.headers.get("x-user")
    return Identity(name, admin=name == "root") if name else None
'''


class Process:
    """One process of the site."""

    def __init__(self, folder: Path, words: list[str], environ: dict[str, str]) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "stoker", *words],
            cwd=folder,
            env={**os.environ, **environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self._news = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as lines:
            for line in lines:
                with self._news:
                    self.said.append(line)
                    self._news.notify_all()
        with self._news:
            self.said.append("")
            self._news.notify_all()

    def told(self, pattern: str) -> str:
        """What the pattern's group found in its output, once it is there."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, "".join(self.said))

        with self._news:
            assert self._news.wait_for(lambda: found() or "" in self.said, WAIT), f"no {pattern} in {self.said}"
            match = found()
        assert match is not None, "".join(self.said)
        return match[1]

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait(WAIT)

    def wait(self) -> None:
        self._popen.wait(WAIT)

    def stop_when_done(self) -> None:
        """It ends by itself, and well."""
        self.wait()
        assert self._popen.returncode == 0, "".join(self.said)

    def stop(self) -> None:
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reading.join(WAIT)


class Site:
    """The site's address, its app for a test's own use, and its processes."""

    def __init__(self, folder: Path, place: str) -> None:
        self.folder = folder
        self._environ = {"PLACE": place}
        self._processes: list[Process] = []
        (folder / "pages.py").write_text(APP)
        self.app = Stoker(place)
        namespace: dict[str, object] = {"__name__": "pages"}
        here = APP.replace('os.environ["PLACE"]', repr(place))  # other tests have an environment, too
        exec(compile(here, "pages.py", "exec"), namespace)
        self.tasks = namespace
        self.url = ""

    def start(self, *words: str) -> Process:
        process = Process(self.folder, [*words, "--app", "pages:app"], self._environ)
        self._processes.append(process)
        return process

    def serve(self, *words: str) -> str:
        """Start the server; its address."""
        server = self.start("server", "--port", "0", "--identify", "pages:identify", *words)
        self.url = server.told(r"(http://[^\s]+)").rstrip("/")
        return self.url

    def work(self) -> Process:
        worker = self.start("worker", "--no-scheduler", "--grace", "1s")
        worker.told(r"(worker \S+ started)")
        return worker

    def allow(self, name: str, steps: int = 1) -> None:
        """Let the job of that name go on by so many steps."""
        with (self.folder / name).open("a") as file:
            file.write("go\n" * steps)

    def task(self, name: str):
        return self.tasks[name]

    def close(self) -> None:
        for process in reversed(self._processes):
            process.stop()
        with suppress(Exception):
            self.tasks["app"].close()
        self.app.close()


@contextmanager
def opened(folder: Path, place: str) -> Iterator[Site]:
    site = Site(folder, place)
    try:
        yield site
    finally:
        site.close()
