"""A URL → a store and a driver: the one place where the two meet."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from stoker.drivers.driver import Driver
from stoker.drivers.memory import MemoryDriver
from stoker.drivers.sqlite import SqliteDriver
from stoker.errors import ConfigError
from stoker.store import Store
from stoker.stores.memory import MemoryStore
from stoker.stores.sqlite import SqliteStore


class Connection(NamedTuple):
    """A store, and a driver for it."""

    store: Store
    driver: Driver


def connect(url: str) -> Connection:
    """The store and driver that a URL names. Opens nothing. Raises `ConfigError` that says what the URL should be."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{url!r} is not a URL: {error}") from None
    match parts.scheme:
        case "memory":
            if url != "memory://":
                raise ConfigError(f"the memory store takes no address: write memory://, not {url}")
            return Connection(MemoryStore(), MemoryDriver())
        case "sqlite":
            return _sqlite(url)
        case "":
            raise ConfigError(f"{url!r} is not a URL; for a SQLite file write sqlite:///{url.lstrip('/') or 'jobs.db'}")
        case scheme:
            raise ConfigError(f"there is no store for {scheme}://; the stores are memory:// and sqlite:///PATH")


def _sqlite(url: str) -> Connection:
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
    options: dict[str, Any] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "synchronous" and value.lower() in ("full", "normal"):
            options[name] = value.lower()
        elif name == "synchronous":
            raise ConfigError(f"{url}: synchronous must be full (the default) or normal, not {value!r}")
        elif name == "timeout":
            options[name] = _seconds(url, value)
        else:
            raise ConfigError(f"{url}: there is no option {name!r}; the options are synchronous and timeout")
    return Connection(SqliteStore(), SqliteDriver(path[1:], **options))


def _seconds(url: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{url}: timeout must be a number of seconds, not {value!r}")
    return seconds
