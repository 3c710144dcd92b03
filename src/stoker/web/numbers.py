"""What all who see everything ask for alike, counted once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.engine import Engine
from stoker.store import Census, Store
from stoker.tally_store import MINUTE, Tally
from stoker.views import Totals
from stoker.web.answers import Answers

HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Numbers:
    """How all jobs stand, as it was a moment ago. Each raises `TookTooLong`."""

    def __init__(self, engine: Engine, answers: Answers) -> None:
        self._engine = engine
        self._answers = answers

    @property
    def _store(self) -> Store:
        return self._engine.connection.store

    async def totals(self) -> Totals:
        """Jobs by state."""
        return await self._answers.kept("totals", self._store.totals)

    async def census(self) -> Census:
        """The queues and the workers."""
        return await self._answers.kept("census", self._store.census)

    async def last_hour(self) -> Sequence[Tally]:
        """What was done, minute by minute."""
        return await self._answers.kept("last hour", lambda: self._store.tallies.read(HOUR))

    async def last_day(self) -> Sequence[Tally]:
        """What was done, in pieces of ten minutes."""
        return await self._answers.kept("last day", lambda: self._store.tallies.read(DAY, 10 * MINUTE))
