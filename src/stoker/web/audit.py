"""Writes down who does what through this application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from msgspec import Struct

from stoker.audit_store import Entry
from stoker.engine import Engine
from stoker.errors import StokerError
from stoker.job import storable
from stoker.web.identity import Identity
from stoker.web.present import encoded

_LONGEST = 1_000
"""Characters of a target, or of a text that was given."""


class Note(Struct):
    """What an entry is to say once its act is over."""

    detail: dict[str, Any]
    count: int | None = None
    """how many it changed"""


class Audit:
    """The audit log of an app, for those who write into it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def noted(
        self, who: Identity, action: str, target: str, detail: Mapping[str, Any] = {}
    ) -> AsyncIterator[Note]:
        """Around an act: nothing is done that is not in the log, whatever ends the process or the store in between.

        `action` is a verb and its object, `target` an id, a name or a filter. The entry is written before the act, and
        completed after it by what the note says then, or by the error that the act raised.
        """
        id = self._engine.new_ids()
        note = Note(dict(detail))
        await self._write(id, who, action, target, note)
        said = (note.count, dict(note.detail))
        try:
            yield note
        except Exception as error:
            note.detail["error"] = str(error)
            with suppress(StokerError):  # what the act raised says more
                await self._write(id, who, action, target, note)
            raise
        if said != (note.count, note.detail):
            with suppress(StokerError):  # what was done is done, and its entry is there
                await self._write(id, who, action, target, note)

    async def _write(self, id: str, who: Identity, action: str, target: str, note: Note) -> None:
        entry = Entry(
            id=id,
            who=storable(who.name, _LONGEST),
            action=action,
            target=storable(target, _LONGEST),
            count=note.count,
            detail=encoded(_cut(note.detail)).decode() if note.detail else None,
        )
        await self._engine.arun(self._engine.connection.store.audit.write(entry))


def _cut(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with texts of a length that entries may have for a year."""
    return {name: storable(value, _LONGEST) if isinstance(value, str) else value for name, value in detail.items()}
