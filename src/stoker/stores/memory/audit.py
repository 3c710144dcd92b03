"""The audit log in this process's memory."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.audit_store import AUDIT_KEPT, Entry
from stoker.clock import Clock
from stoker.stores.memory.immediate import immediate


class MemoryAudit:
    """See `AuditStore`."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock
        self._entries: dict[str, Entry] = {}

    @immediate
    def write(self, entry: Entry) -> None:
        """See `AuditStore.write`."""
        known = self._entries.get(entry.id)
        self._entries[entry.id] = replace(entry, at=self._now() if known is None else known.at)

    @immediate
    def read(self, limit: int = 100, before: str | None = None) -> list[Entry]:
        """See `AuditStore.read`."""
        ids = sorted((id for id in self._entries if before is None or id < before), reverse=True)
        return [self._entries[id] for id in ids[:limit]]

    def forget(self, now: int) -> None:
        """Forget what is too old."""
        for id in [id for id, entry in self._entries.items() if entry.at <= now - AUDIT_KEPT]:
            del self._entries[id]
