"""Writes down who did what through this application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stoker.audit_store import Entry
from stoker.engine import Engine
from stoker.job import storable
from stoker.web.identity import Identity
from stoker.web.present import encoded

_LONGEST = 1_000
"""Characters of a target."""


class Audit:
    """The audit log of an app, for those who write into it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def write(
        self,
        who: Identity,
        action: str,
        target: str,
        *,
        count: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what was done, once it is done. `action` is a verb and its object, `target` an id, a name or a filter."""
        said = None if detail is None else encoded(detail).decode()
        entry = Entry(
            id=self._engine.new_ids(),
            who=storable(who.name, _LONGEST),
            action=action,
            target=storable(target, _LONGEST),
            count=count,
            detail=said,
        )
        await self._engine.arun(self._engine.connection.store.audit.write(entry))
