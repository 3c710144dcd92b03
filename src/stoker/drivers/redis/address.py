"""Where a Redis server is, and how it is spoken to."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct


class Kind(StrEnum):
    """What the nodes of an address are."""

    SINGLE = "single"
    """the server itself"""
    CLUSTER = "cluster"
    """some nodes of a cluster; any of them knows the others"""
    SENTINEL = "sentinel"
    """sentinels, which know the server"""


class Node(NamedTuple):
    """One server process."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Tls(Struct, frozen=True):
    """Files for an encrypted connection; None: what the system trusts, and no certificate of our own."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Address(Struct, frozen=True, kw_only=True):
    """Everything that it takes to open a connection."""

    nodes: tuple[Node, ...]
    kind: Kind = Kind.SINGLE
    service: str = ""
    """the name that sentinels have for the server"""
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None
    timeout: float = 5.0
    """seconds to wait for a connection, or for a reply"""

    def __repr__(self) -> str:
        return f"<Address {self}>"

    def __str__(self) -> str:
        """For people: no secrets."""
        nodes = ", ".join(map(str, self.nodes))
        match self.kind:
            case Kind.CLUSTER:
                return f"Redis cluster {nodes}"
            case Kind.SENTINEL:
                return f"Redis {self.service!r} by the sentinels {nodes}"
        return f"Redis {nodes}" + (f", database {self.database}" if self.database else "")
