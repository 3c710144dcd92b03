"""The queues of an app, as a person on call pauses and limits them. Each verb has a sync form and an a-form."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.engine import Engine
from stoker.errors import InvalidOption
from stoker.options import concurrency_of, rate_of
from stoker.plan import Plan
from stoker.store import Fair, QueueInfo, QueueLimit


class Queues:
    """The queues of an app."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Sequence[QueueInfo]:
        """Every queue that has unfinished jobs or was ever paused, by name."""
        return self._engine.run(self._engine.connection.store.census()).queues

    async def alist(self) -> Sequence[QueueInfo]:
        """As `list`."""
        return (await self._engine.arun(self._engine.connection.store.census())).queues

    def pause(self, queue: str) -> None:
        """Let no more jobs of the queue start, in any process, until it is resumed. Running ones go on."""
        self._engine.run(self._engine.connection.store.pause(queue, True))

    async def apause(self, queue: str) -> None:
        """As `pause`."""
        await self._engine.arun(self._engine.connection.store.pause(queue, True))

    def resume(self, queue: str) -> None:
        """Undo `pause`."""
        self._engine.run(self._engine.connection.store.pause(queue, False))

    async def aresume(self, queue: str) -> None:
        """As `resume`."""
        await self._engine.arun(self._engine.connection.store.pause(queue, False))

    def limit(
        self, queue: str, *, concurrency: int | None = None, rate: str | None = None, fair: str | None = None
    ) -> None:
        """Let so much through a queue from now on, across all processes; what is not given is unlimited.

        `concurrency`: jobs at once. `rate`: `"100/m"`, a token bucket. `fair`: `"owner"`, or the argument that the
        tasks of the queue name with `by=`: jobs of each take turns, so that one's many do not stand before another's
        single one. Raises `InvalidOption`.
        """
        self._engine.run(self._limit(queue, concurrency, rate, fair))

    async def alimit(
        self, queue: str, *, concurrency: int | None = None, rate: str | None = None, fair: str | None = None
    ) -> None:
        """As `limit`."""
        await self._engine.arun(self._limit(queue, concurrency, rate, fair))

    def _limit(self, queue: str, concurrency: int | None, rate: str | None, fair: str | None) -> Plan[None]:
        if fair not in (None, "owner") and not any(task.options.by == fair for task in self._engine.registry):
            raise InvalidOption(
                f"fair must be 'owner' or an argument that a task of this app names with by=, not {fair!r}"
            )
        allowed = rate_of("rate", rate)
        limit = QueueLimit(
            concurrency_of("concurrency", concurrency),
            allowed.number if allowed is not None else None,
            allowed.period if allowed is not None else None,
            None if fair is None else Fair.OWNER if fair == "owner" else Fair.SHARE,
        )
        return self._engine.connection.store.limit(queue, limit)
