"""Tallies in a SQLite file."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.clock import Clock
from stoker.plan import Steps, reading, writing
from stoker.stores.sqlite.texts import Texts
from stoker.tally_store import MINUTE, TALLIES_KEPT, Tally


class SqliteTallies:
    """See `TallyStore`."""

    def __init__(self, clock: Clock, texts: Texts) -> None:
        self._now = clock
        self._texts = texts

    @writing
    def add(self, tallies: Sequence[Tally]) -> Steps[None]:
        """See `TallyStore.add`."""
        at = self._now() // MINUTE * MINUTE
        rows = [(at, t.queue, t.completed, t.failed, t.retried, t.cancelled) for t in tallies]
        if rows:
            yield self._texts.for_each("add_tally", rows)

    @reading
    def read(self, span: int, step: int = MINUTE) -> Steps[list[Tally]]:
        """See `TallyStore.read`."""
        first = (self._now() - span) // step * step
        reply = yield self._texts.ask("tallies", first=first, step=step)
        return [
            Tally(queue=queue, completed=completed, failed=failed, retried=retried, cancelled=cancelled, at=at)
            for queue, completed, failed, retried, cancelled, at in reply.rows
        ]

    def forget(self, now: int) -> Steps[None]:
        """Forget what is too old; within a plan that writes."""
        yield self._texts.ask("forget_tallies", before=now - TALLIES_KEPT)
