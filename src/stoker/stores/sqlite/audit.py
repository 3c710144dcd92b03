"""The audit log in a SQLite file."""

from __future__ import annotations

from stoker.audit_store import AUDIT_KEPT, Entry
from stoker.clock import Clock
from stoker.plan import Steps, reading, writing
from stoker.stores.sqlite.texts import Texts


class SqliteAudit:
    """See `AuditStore`."""

    def __init__(self, clock: Clock, texts: Texts) -> None:
        self._now = clock
        self._ask = texts.ask

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
            now=self._now(),
        )

    @reading
    def read(self, limit: int = 100, before: str | None = None) -> Steps[list[Entry]]:
        """See `AuditStore.read`."""
        if before is None:
            reply = yield self._ask("entries", limit=limit)
        else:
            reply = yield self._ask("entries_before", before=before, limit=limit)
        return [
            Entry(id=id, who=who, action=action, target=target, count=count, detail=detail, at=at)
            for id, who, action, target, count, detail, at in reply.rows
        ]

    def forget(self, now: int) -> Steps[None]:
        """Forget what is too old; within a plan that writes."""
        yield self._ask("forget_entries", before=now - AUDIT_KEPT)
