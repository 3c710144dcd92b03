"""A URL → a store and a driver: the one place where the two meet."""

from __future__ import annotations

from importlib import import_module
from urllib.parse import urlsplit

from stoker.clock import Clock, now
from stoker.connect.address import shown
from stoker.connect.connection import Connection
from stoker.drivers.memory import MemoryDriver
from stoker.errors import ConfigError, MissingExtra
from stoker.stores.memory import MemoryStore

__all__ = ["Connection", "connect"]

_MODULES = {
    "sqlite": ("stoker.connect.sqlite", None),
    "postgresql": ("stoker.connect.postgres", "postgres"),
    "postgres": ("stoker.connect.postgres", "postgres"),
    "redis": ("stoker.connect.redis", "redis"),
    "rediss": ("stoker.connect.redis", "redis"),
    "redis+cluster": ("stoker.connect.redis", "redis"),
    "rediss+cluster": ("stoker.connect.redis", "redis"),
    "redis+sentinel": ("stoker.connect.redis", "redis"),
    "rediss+sentinel": ("stoker.connect.redis", "redis"),
}
"""Where each scheme is understood, and the extra that it needs."""


def connect(url: str, clock: Clock | None = None) -> Connection:
    """The store and driver that a URL names, on the store's own clock or on another one. Opens nothing.

    Raises `ConfigError` that says what the URL should be, and `MissingExtra` that says what to install.
    """
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise ConfigError(f"{shown(url)!r} is not a URL: {error}") from None
    if scheme == "memory":
        if url != "memory://":
            raise ConfigError(f"the memory store takes no address: write memory://, not {url}")
        return Connection(MemoryStore(clock or now), MemoryDriver())
    if not scheme:
        raise ConfigError(f"{url!r} is not a URL; for a SQLite file write sqlite:///{url.lstrip('/') or 'jobs.db'}")
    if scheme not in _MODULES:
        raise ConfigError(
            f"there is no store for {scheme}://; the stores are memory://, sqlite:///PATH, postgresql://HOST/DATABASE "
            "and redis://HOST"
        )
    module, extra = _MODULES[scheme]
    try:
        understand = import_module(module).understand
    except ModuleNotFoundError as error:
        if extra is None or (error.name or "").startswith("stoker"):
            raise
        raise MissingExtra(f'{scheme}:// needs the package {error.name}: pip install "stoker[{extra}]"') from error
    connection: Connection = understand(url, clock)
    return connection
