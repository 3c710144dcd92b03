"""What a store promises about the audit log: who did what through a surface."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from stoker.clock import SECOND
from stoker.plan import Plan

AUDIT_KEPT: Final = 400 * 24 * 3600 * SECOND
"""Span after which an entry is forgotten: a year, and a month to look at it."""


class Entry(Struct, frozen=True, kw_only=True):
    """One action of one person."""

    id: str
    """a UUIDv7"""
    who: str
    action: str
    """a verb and its object: `cancel jobs`, `pause queue`"""
    target: str
    """an id, a name, or a filter as people write it"""
    count: int | None = None
    """how many it changed"""
    detail: str | None = None
    """JSON: what else was given"""
    at: int = 0
    """instant of the first writing; set by the store"""


class AuditStore(Protocol):
    """Entries are written before the act and completed after it, and forgotten by age."""

    def write(self, entry: Entry) -> Plan[None]:
        """Add one; or replace what the one with its id says, but not when it was first written."""
        ...

    def read(self, limit: int = 100, before: str | None = None) -> Plan[list[Entry]]:
        """Entries by id, newest first; `before`: the last id of the page before."""
        ...
