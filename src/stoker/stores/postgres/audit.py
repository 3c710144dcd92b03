"""The audit log in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable

from stoker.audit_store import Entry
from stoker.plan import Statement, Steps, reading, writing


class PostgresAudit:
    """See `AuditStore`."""

    def __init__(self, ask: Callable[..., Statement]) -> None:
        self._ask = ask
        """makes a statement that is a transaction by itself, of its name and parameters"""

    @writing
    def write(self, entry: Entry) -> Steps[None]:
        """See `AuditStore.write`."""
        yield self._ask(
            "write_entry",
            id=entry.id,
            who=entry.who,
            action=entry.action,
            target=entry.target,
            count=entry.count,
            detail=entry.detail,
        )

    @reading
    def read(self, limit: int = 100, before: str | None = None) -> Steps[list[Entry]]:
        """See `AuditStore.read`."""
        reply = yield self._ask("entries", limit=limit, before=before)
        return [
            Entry(id=id, who=who, action=action, target=target, count=count, detail=detail, at=at)
            for id, who, action, target, count, detail, at in reply.rows
        ]
