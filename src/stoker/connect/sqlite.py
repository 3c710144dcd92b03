"""`sqlite:///PATH`."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from stoker.clock import Clock, now
from stoker.connect.address import options_of, seconds
from stoker.connect.connection import Connection
from stoker.drivers.sqlite import SqliteDriver
from stoker.errors import ConfigError
from stoker.stores.sqlite import SqliteStore


def understand(url: str, clock: Clock | None) -> Connection:
    """The store in the file that the URL names."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc:
        raise ConfigError(f"{url}: a SQLite URL has three slashes: sqlite:///{parts.netloc}{parts.path}")
    if not path.startswith("/") or path == "/":
        raise ConfigError(
            f"{url}: name the file: sqlite:///jobs.db, or sqlite:////var/lib/jobs.db for an absolute path"
        )
    if parts.fragment:
        raise ConfigError(f"{url}: a URL ends at its #; write %23 for a # in the name")
    if path == "/:memory:":
        raise ConfigError("several connections cannot share a SQLite database in memory: use memory:// instead")
    options = options_of(url, {"synchronous": _synchronous, "timeout": seconds})
    return Connection(SqliteStore(clock or now), SqliteDriver(path[1:], **options))


def _synchronous(value: str) -> str:
    if value.lower() not in ("full", "normal"):
        raise ValueError("full (the default) or normal")
    return value.lower()
