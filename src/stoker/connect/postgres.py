"""`postgresql://HOST/DATABASE`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stoker.clock import Clock
from stoker.connect.address import options_of, seconds, shown
from stoker.connect.connection import Connection
from stoker.errors import ConfigError, MissingExtra
from stoker.stores.postgres import PostgresStore

try:
    from stoker.drivers.postgres import PostgresDriver
except ModuleNotFoundError:
    raise
except ImportError as error:  # psycopg is there, the library that it needs is not
    raise MissingExtra('postgresql:// needs the library libpq: pip install "stoker[postgres]"') from error


def understand(url: str, clock: Clock | None) -> Connection:
    """The store in the schema and database that the URL names. What is not an option of ours is libpq's."""
    parts = urlsplit(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    ours = urlencode([(name, value) for name, value in given if name in _OPTIONS])
    theirs = urlencode([(name, value) for name, value in given if name not in _OPTIONS])
    options = options_of(urlunsplit(parts._replace(query=ours)), _OPTIONS)
    if parts.fragment:
        raise ConfigError(f"{shown(url)}: a URL ends at its #; write %23 for a # in a name or a password")
    store = PostgresStore(clock, options.setdefault("schema", "stoker"))
    driver = PostgresDriver(urlunsplit(parts._replace(scheme="postgresql", query=theirs)), **options)
    return Connection(store, driver)


def _yes_or_no(value: str) -> bool:
    if value.lower() not in ("yes", "no"):
        raise ValueError("yes (the default) or no")
    return value.lower() == "yes"


def _size(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 10_000:
        raise ValueError("a number of connections, 1 or more")
    return int(value)


_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "schema": str,
    "pool_size": _size,
    "listen": _yes_or_no,
    "timeout": seconds,
    "prepare": _yes_or_no,
}
