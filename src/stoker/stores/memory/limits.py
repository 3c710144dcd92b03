"""How much may be processed at once, and begun in a while."""

from __future__ import annotations

from stoker.job import Limit
from stoker.store import QueueLimit
from stoker.stores.bucket import Bucket
from stoker.stores.memory.shelf import Shelf

UNLIMITED = 1 << 62


class Limits:
    """Limits of jobs by key, of queues by name, and their buckets. What is processed now is read off the shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._of_jobs: dict[str, Limit] = {}
        self._of_queues: dict[str, QueueLimit] = {}
        self._filled: dict[tuple[str, str], int] = {}

    def put(self, limit: Limit) -> None:
        """Have it hold for the jobs of its key from now on."""
        self._of_jobs[limit.key] = limit

    def put_queue(self, queue: str, limit: QueueLimit) -> None:
        """Have it hold for the queue from now on."""
        self._of_queues[queue] = limit

    def of_queue(self, queue: str) -> QueueLimit:
        """What holds for the queue."""
        return self._of_queues.get(queue, QueueLimit())

    def room(self, key: str | None, now: int) -> int:
        """How many jobs of that key may be claimed now."""
        limit = self._of_jobs.get(key) if key is not None else None
        return UNLIMITED if limit is None else self._room("job", limit, limit.key, self._shelf.processing[key], now)

    def room_in(self, queue: str, now: int) -> int:
        """How many jobs of the queue may be claimed now."""
        return self._room("queue", self.of_queue(queue), queue, self._shelf.processing_in[queue], now)

    def _room(self, kind: str, limit: Limit | QueueLimit, name: str, running: int, now: int) -> int:
        room = UNLIMITED if limit.concurrency is None else limit.concurrency - running
        bucket = bucket_of(limit)
        if bucket is not None:
            room = min(room, bucket.tokens(self._filled.get((kind, name), 0), now))
        return max(0, room)

    def take(self, queue: str, key: str | None, now: int) -> None:
        """A job of that key in that queue was claimed."""
        self._take("queue", self.of_queue(queue), queue, now)
        if key is not None and key in self._of_jobs:
            self._take("job", self._of_jobs[key], key, now)

    def _take(self, kind: str, limit: Limit | QueueLimit, name: str, now: int) -> None:
        bucket = bucket_of(limit)
        if bucket is not None:
            self._filled[kind, name] = bucket.take(self._filled.get((kind, name), 0), now, 1)

    def mend(self, now: int) -> None:
        """See `Bucket.mended`."""
        for kind, name in self._filled:
            limit = self._of_jobs.get(name) if kind == "job" else self.of_queue(name)
            bucket = bucket_of(limit) if limit is not None else None
            if bucket is not None:
                self._filled[kind, name] = bucket.mended(self._filled[kind, name], now)

    def token_in(self, now: int) -> int | None:
        """The span until the first bucket has a token that is empty while jobs wait for it; None: there is none."""
        spans = [
            bucket.token_in(self._filled.get((kind, name), 0), now)
            for kind, waited_for, limits in (
                ("job", self._shelf.queued_by_limit, self._of_jobs),
                ("queue", self._shelf.queued, self._of_queues),
            )
            for name, limit in limits.items()
            if waited_for[name] and (bucket := bucket_of(limit)) is not None
        ]
        return min((span for span in spans if span > 0), default=None)


def bucket_of(limit: Limit | QueueLimit) -> Bucket | None:
    """The bucket of a limit, if it has a rate."""
    return Bucket(limit.rate, limit.period) if limit.rate is not None and limit.period is not None else None
