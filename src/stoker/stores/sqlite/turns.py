"""Turns in fair queues. The database gives them by itself, by triggers that are there only while a queue is fair."""

from __future__ import annotations

from typing import Final

from stoker.plan import Steps
from stoker.store import QueueLimit
from stoker.stores.sqlite.texts import Texts

_TRIGGERS: Final = ("turns_new", "turns_again", "turns_over", "turns_gone")


class Turns:
    """Steps of plans: who calls them is in a transaction that writes."""

    def __init__(self, texts: Texts) -> None:
        self._ask = texts.ask

    def limit(self, queue: str, limit: QueueLimit) -> Steps[bool]:
        """Write the queue's limit; whether its queued jobs stand in another order now."""
        yield self._ask("begin")
        reply = yield self._ask("fair_queue", queue=queue)
        before, others = reply.rows[0]
        fair = None if limit.fair is None else limit.fair.value
        yield self._ask(
            "limit_queue",
            queue=queue,
            concurrency=limit.concurrency,
            rate=limit.rate,
            period=limit.period,
            fair=fair,
        )
        if fair == before:
            return False
        for name in _TRIGGERS:
            yield self._ask(f"make_{name}" if fair or others else f"drop_{name}")
        yield self._ask("end_turns", queue=queue)
        yield self._ask("forget_turns", queue=queue)
        if fair is not None:
            yield self._ask("deal_turns", queue=queue, fair=fair)
            yield self._ask("begin_turns", queue=queue)
        return True
