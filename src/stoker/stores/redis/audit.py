"""The audit log on a Redis server."""

from __future__ import annotations

from struct import Struct as Layout
from typing import Any, Final

import msgspec
from msgspec import Struct

from stoker.audit_store import Entry
from stoker.plan import Steps, reading, writing
from stoker.stores.redis.asking import Ask
from stoker.stores.redis.rows import pack
from stoker.stores.redis.trail import STRETCH

_AT: Final = Layout(">q")
"""How an entry begins; behind it come its facts."""


class _Facts(Struct, array_like=True):
    who: str
    action: str
    target: str
    count: int | None
    detail: str | None


_facts = msgspec.msgpack.Decoder(_Facts).decode


class RedisAudit:
    """See `AuditStore`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @writing
    def write(self, entry: Entry) -> Steps[None]:
        """See `AuditStore.write`."""
        facts = _Facts(entry.who, entry.action, entry.target, entry.count, entry.detail)
        yield self._ask("write_entry", {"id": entry.id}, [pack(facts)], alone=True)

    @reading
    def read(self, limit: int = 100, before: str | None = None) -> Steps[list[Entry]]:
        """See `AuditStore.read`."""
        entries: list[Entry] = []
        while (room := min(STRETCH, limit - len(entries))) > 0:
            asked: dict[str, Any] = {"limit": room} | ({} if before is None else {"before": before})
            flat = (yield self._ask("read_entries", asked)).rows[0][0]
            entries += [_entry(id, kept) for id, kept in zip(flat[::2], flat[1::2], strict=True)]
            if len(flat) < 2 * room:
                break
            before = entries[-1].id
        return entries


def _entry(id: bytes, kept: bytes) -> Entry:
    (at,) = _AT.unpack_from(kept)
    facts = _facts(kept[_AT.size :])
    return Entry(
        id=id.decode(),
        who=facts.who,
        action=facts.action,
        target=facts.target,
        count=facts.count,
        detail=facts.detail,
        at=at,
    )
