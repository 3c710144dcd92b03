"""Tallies in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.plan import Statement, Steps, reading, writing
from stoker.stores.record import to_json
from stoker.tally_store import MINUTE, Tally


class PostgresTallies:
    """See `TallyStore`."""

    def __init__(self, ask: Callable[..., Statement]) -> None:
        self._ask = ask
        """makes a statement that is a transaction by itself, of its name and parameters"""

    @writing
    def add(self, tallies: Sequence[Tally]) -> Steps[None]:
        """See `TallyStore.add`."""
        if tallies:
            yield self._ask("add_tallies", tallies=to_json(tallies), minute=MINUTE)

    @reading
    def read(self, span: int, step: int = MINUTE) -> Steps[list[Tally]]:
        """See `TallyStore.read`."""
        reply = yield self._ask("tallies", span=span, step=step)
        return [
            Tally(queue=queue, completed=completed, failed=failed, retried=retried, cancelled=cancelled, at=at)
            for queue, completed, failed, retried, cancelled, at in reply.rows
        ]
