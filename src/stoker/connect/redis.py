"""`redis://HOST`, with `rediss` for TLS, and `+cluster` and `+sentinel`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from stoker.clock import Clock
from stoker.connect.address import options_of, seconds, shown
from stoker.connect.connection import Connection
from stoker.drivers.redis import Address, Kind, Node, RedisDriver, Tls
from stoker.errors import ConfigError
from stoker.stores.redis import RedisStore

_PORTS: Final = {Kind.SINGLE: 6379, Kind.CLUSTER: 6379, Kind.SENTINEL: 26379}
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_FILES: Final = ("tls_ca", "tls_cert", "tls_key")


def understand(url: str, clock: Clock | None) -> Connection:
    """The store on the server that the URL names."""
    options: dict[str, Any] = options_of(
        url,
        {
            "prefix": _prefix,
            "timeout": _timeout,
            "pool_size": _pool_size,
            "allow_eviction": _yes_or_no,
            **dict.fromkeys(_FILES, str),
        },
    )
    files: dict[str, str] = {name: options.pop(name) for name in _FILES if name in options}
    prefix: str = options.pop("prefix", "stoker")
    address = _address(url, files, options.pop("timeout", 5.0))
    return Connection(RedisStore(clock, prefix=prefix), RedisDriver(address, prefix=prefix, **options))


def _address(url: str, files: dict[str, str], timeout: float) -> Address:
    parts = urlsplit(url)
    if parts.fragment:
        raise ConfigError(f"{shown(url)}: a URL ends at its #; write %23 for a # in the password")
    base, _, suffix = parts.scheme.partition("+")
    if files and base != "rediss":
        raise ConfigError(f"{shown(url)}: {', '.join(files)} are for TLS: write rediss:// instead of redis://")
    kind = Kind(suffix) if suffix else Kind.SINGLE
    login, _, hosts = parts.netloc.rpartition("@")
    username, colon, password = login.partition(":")
    nodes = tuple(_node(url, host, _PORTS[kind]) for host in hosts.split(","))
    if kind is Kind.SINGLE and len(nodes) > 1:
        raise ConfigError(f"{shown(url)}: for several hosts write redis+cluster:// or redis+sentinel://")
    path = [part for part in parts.path.split("/") if part]
    service = ""
    if kind is Kind.SENTINEL:
        if not path:
            raise ConfigError(f"{shown(url)}: name the service: redis+sentinel://HOST:26379,HOST2:26379/SERVICE")
        service = unquote(path.pop(0))
    database = _database(url, path)
    if kind is Kind.CLUSTER and database:
        raise ConfigError(f"{shown(url)}: a cluster has no databases but 0; use ?prefix= to keep apps apart")
    return Address(
        nodes=nodes,
        kind=kind,
        service=service,
        database=database,
        username=unquote(username) or None,
        password=unquote(password) if colon else None,
        tls=_tls(files) if base == "rediss" else None,
        timeout=timeout,
    )


def _node(url: str, text: str, port: int) -> Node:
    try:
        parts = urlsplit(f"//{text}")
        node = Node(parts.hostname or "", port if parts.port is None else parts.port)
    except ValueError:
        node = Node("", 0)
    if not node.host or not node.port:
        raise ConfigError(f"{shown(url)}: {text!r} is not a host, or HOST:PORT")
    return node


def _database(url: str, path: list[str]) -> int:
    if not path:
        return 0
    if len(path) > 1 or not path[0].isdigit():
        raise ConfigError(f"{shown(url)}: after the host comes the number of a database, as in redis://HOST/0")
    return int(path[0])


def _tls(files: dict[str, str]) -> Tls:
    for path in files.values():
        if not Path(path).is_file():
            raise ConfigError(f"the TLS file {path} does not exist")
    return Tls(files.get("tls_ca"), files.get("tls_cert"), files.get("tls_key"))


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("1 to 100 of the characters A-Z a-z 0-9 _ . : -")
    return value


def _timeout(value: str) -> float:
    number = seconds(value)
    if not number:
        raise ValueError("a number of seconds, more than 0")
    return number


def _pool_size(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= 10_000:
        raise ValueError("a number from 1 to 10000")
    return int(value)


def _yes_or_no(value: str) -> bool:
    if value.lower() not in ("yes", "no"):
        raise ValueError("yes or no")
    return value.lower() == "yes"
