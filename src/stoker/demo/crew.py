"""The demo's worker processes: one at a time, and the dead ones before it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from stoker import clock
from stoker.errors import StokerError

LOOK: Final = 0.1
"""seconds between two looks at the worker"""
PATIENCE: Final = 10.0
"""seconds that a worker gets to stop by itself"""


class Member(Struct):
    """One worker process."""

    pid: int
    ended: str | None = None
    """how it ended; None while it lives"""


class Crew:
    """Starts workers on a store. None outlives this process: a worker stops when its standard input is closed."""

    def __init__(self, url: str, log: Path) -> None:
        self.members: list[Member] = []
        self._url = url
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The newest worker's process id."""
        return self.members[-1].pid

    def hire(self) -> int:
        """Start a worker; returns its process id."""
        # PYTHONSAFEPATH: a json.py in the current folder must not become the worker's. A session of its own: Ctrl-C
        # in the terminal is for the command, which cancels the job before it stops the worker.
        environment = os.environ | {"STOKER_URL": self._url, "PYTHONSAFEPATH": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stoker.demo.worker"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self.members.append(Member(self._process.pid))
        return self._process.pid

    def kill(self) -> None:
        """Kill the worker with SIGKILL, as the kernel does when memory runs out."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def dead(self) -> Member | None:
        """The worker, if a signal ended it. Raises `StokerError` with its last words if it gave up by itself."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return None
        member = self._bury(code)
        if code >= 0:
            raise StokerError(f"the worker (pid {member.pid}) ended with exit code {code}: {self._last_words()}")
        return member

    def keep_one(self) -> None:
        """Wait a moment, and start another worker if this one was killed. Raises as `dead`."""
        clock.sleep(LOOK)
        if self.dead() is not None:
            self.hire()

    def dismiss(self) -> None:
        """Have the worker stop, and wait for it; kill it if it does not."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self._bury(code)
        self._process = None

    def _bury(self, code: int) -> Member:
        assert self._process is not None
        if self._process.stdin is not None:
            self._process.stdin.close()
        member = self.members[-1]
        member.ended = f"killed by {_signal(-code)}" if code < 0 else "stopped" if code == 0 else f"exit code {code}"
        return member

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
