"""A private PostgreSQL server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from servers.process import ServerMissing, ServerProcess, bound, free_port, make_folder, until

USER = "stoker"


def find_programs() -> Path:
    """The folder of the newest PostgreSQL's programs. Raises `ServerMissing`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    raise ServerMissing("PostgreSQL is not installed: apt-get install postgresql")


def unprivileged() -> str | None:
    """The user to run as: PostgreSQL refuses root. None: we are somebody else already."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise ServerMissing("PostgreSQL does not run as root, and there is no user postgres or nobody")


class PostgresServer:
    """One server, its port the same through restarts. `durable`: with fsync, as PostgreSQL comes."""

    def __init__(self, *, durable: bool = False, **settings: str | int) -> None:
        self._programs = find_programs()
        self._user = unprivileged()
        self.folder = make_folder("postgres", self._user)
        self.port = free_port()
        self._data = self.folder / "data"
        settings = {"fsync": "on" if durable else "off", "max_connections": 200, **settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port)]
        # SIGQUIT at its starter's death: nobody needs the data any more.
        self._process = ServerProcess(
            bound([*command, "-k", str(self.folder), *options], self._user, "QUIT"), self.folder / "log"
        )

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> PostgresServer:
        """Start it and wait until it takes connections."""
        if not self._data.exists():
            command = [str(self._programs / "initdb"), "-D", str(self._data), "-U", USER, "-A", "trust", "-N"]
            command += ["-E", "UTF8", "--locale=C.UTF-8"]
            subprocess.run(bound(command, self._user), check=True, cwd="/", capture_output=True)
        self._process.start(self._ready)
        return self

    def _ready(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self) -> None:
        """A fast shutdown: connections are cut, transactions undone."""
        self._process.end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to every process of it; the next start recovers from its log."""
        pids = [self.pid, *self._children()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.end(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids[1:]), "its processes are gone")

    def _children(self) -> list[int]:
        try:
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except OSError:
            return []

    def sql(self, text: str, database: str = "postgres") -> str:
        """What `psql` prints for a statement, one row a line."""
        command = [str(self._programs / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*command, "-d", self.database_url(database), "-c", text], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def demand_passwords(self) -> None:
        """From now on nobody but its own user gets in without a password."""
        rules = f"host all {USER} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self._data / "pg_hba.conf").write_text(rules)
        self.sql("SELECT pg_reload_conf()")

    def close(self) -> None:
        """Stop it and remove its folder."""
        if self._process.alive:
            self._process.end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
