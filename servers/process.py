"""A server process: started, awaited, stopped, killed; and what it needs of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PATIENCE = 60.0
"""seconds before a server that should be there, or gone, is given up"""


class ServerMissing(Exception):
    """The server's programs are not installed."""


def free_port() -> int:
    """A port of the loopback that nobody uses, and of which the one 10,000 higher (a cluster's bus) is free, too."""
    for _ in range(100):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            if port > 50_000:
                continue
            with socket.socket() as second:
                try:
                    second.bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
            return port
    raise OSError("no free port was found")


def make_folder(name: str, user: str | None = None) -> Path:
    """A new temporary folder, of that user's alone."""
    folder = Path(tempfile.mkdtemp(prefix=f"stoker-{name}-"))
    if user is not None:
        shutil.chown(folder, user)
    return folder


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"this did not come true: {what}")
        time.sleep(0.02)


def bound(command: Sequence[str], user: str | None = None, ending: str = "TERM") -> list[str]:
    """The command so that it ends with the thread that started it, and runs as that user."""
    become = ["--reuid", user, "--regid", user, "--init-groups"] if user is not None else []
    return ["setpriv", *become, "--pdeathsig", ending, *command]


class ServerProcess:
    """One process of a server, its log beside its data."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = list(command)
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None, "it was never started"
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it and wait until it is ready."""
        assert not self.alive, "it runs already"
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is for the tests, which then stop their servers in order.
            self._popen = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )

        def there() -> bool:
            if not self.alive:
                raise RuntimeError(f"{self._command} ended:\n{self._log.read_text(errors='replace')[-4000:]}")
            return ready()

        until(there, f"{self._command[-1]} is ready")

    def end(self, number: signal.Signals) -> None:
        """Send the signal and wait until the process has ended."""
        if self._popen is None:
            return
        if self.alive:
            self._popen.send_signal(number)
        try:
            self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(PATIENCE)
            raise

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)
