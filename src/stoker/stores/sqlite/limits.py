"""How much of a limit's jobs may be processed at once, and begun in a while.

Of each limit, and in each queue, the first jobs stand where claims look, as many as there is room for; the others are
parked. So a claim takes what it finds, and does not walk what it may not take. Whoever changes anything of a limit or
of its jobs readmits it in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from stoker.job import Limit
from stoker.plan import Steps
from stoker.store import QueueLimit
from stoker.stores.bucket import Bucket
from stoker.stores.record import to_json
from stoker.stores.sqlite.texts import Texts

UNLIMITED: Final = 1 << 62
"""More room than there are jobs."""

MOST: Final = 256
"""How many jobs of one limit and queue stand where claims look, even if there is room for more: so that a limit that is
raised over a million parked jobs does not move all of them. No more jobs are picked before it is readmitted."""


class _Standing(msgspec.Struct, array_like=True):
    """What stands of one limit."""

    key: str
    concurrency: int | None
    rate: int | None
    period: int | None
    full_at: int
    next_at: int | None
    is_empty: int
    stood_at: int | None
    processing: int
    queued: int
    parked: int

    def room(self, now: int) -> int:
        """How many more of its jobs may be claimed before it is readmitted."""
        bucket = bucket_of(self.rate, self.period)
        return min(MOST, room_of(self.concurrency, self.processing, bucket, self.full_at, now))


_standings = msgspec.json.Decoder(list[_Standing])
_keys = msgspec.json.Decoder(list[str])


class Limits:
    """Steps of plans: who calls them is in a transaction that writes."""

    def __init__(self, texts: Texts) -> None:
        self._ask = texts.ask
        self._for_each = texts.for_each

    def put(self, limits: Iterable[Limit], now: int) -> Steps[None]:
        """Have them hold from now on; of one key the last."""
        latest = {limit.key: limit for limit in limits}
        rows = [
            (key, limit.concurrency, limit.rate, limit.period, -_whole(limit), now) for key, limit in latest.items()
        ]
        if rows:
            yield self._for_each("put_limit", rows)

    def know(self, keys: Collection[str], now: int) -> Steps[None]:
        """See that there is something to be said of the limits of jobs that come back."""
        if keys:
            yield self._ask("know_limits", keys=to_json(sorted(keys)), now=now)

    def keys_of(self, refs: Sequence[int]) -> Steps[set[str]]:
        """The limits of these jobs."""
        if not refs:
            return set()
        reply = yield self._ask("keys_of", refs=to_json(refs))
        return set(_keys.decode(reply.rows[0][0]))

    def keys_in(self, queue: str) -> Steps[set[str]]:
        """The limits of the queued jobs of a queue."""
        reply = yield self._ask("keys_in", queue=queue)
        return set(_keys.decode(reply.rows[0][0]))

    def stirred(self, refs: Sequence[int], now: int) -> Steps[set[str]]:
        """The limits to be readmitted before a claim: of jobs that were settled or are due, and where a token came in.

        Mends the buckets on the way (see `Bucket.mended`).
        """
        reply = yield self._ask("stirred", refs=to_json(refs), now=now)
        keys, broken = reply.rows[0]
        if broken:
            yield self._ask("mend", now=now)
        return set(_keys.decode(keys))

    def readmit(self, keys: Collection[str], now: int, taken: Mapping[str, int] | None = None) -> Steps[None]:
        """Let the first jobs of these limits be claimed, and no others. `taken`: how many were claimed just now."""
        if not keys:
            return
        reply = yield self._ask("rooms", keys=to_json(sorted(keys)))
        rooms: dict[int, list[str]] = defaultdict(list)
        charges: list[tuple[Any, ...]] = []
        for standing in _standings.decode(reply.rows[0][0]):
            charges += _charge(standing, now, (taken or {}).get(standing.key, 0))
            room = standing.room(now)
            if standing.parked or standing.queued > room:
                rooms[room].append(standing.key)
        if charges:
            yield self._for_each("charge", charges)
        for room, alike in rooms.items():
            yield self._ask("admit", keys=to_json(alike), room=room)

    def rooms(self, keys: Collection[str], now: int) -> Steps[dict[str, int]]:
        """How many jobs of each limit may be claimed before it is readmitted."""
        reply = yield self._ask("rooms", keys=to_json(sorted(keys)))
        return {standing.key: standing.room(now) for standing in _standings.decode(reply.rows[0][0])}

    def token_in(self, now: int) -> Steps[list[int]]:
        """The span until the first bucket has a token that is empty while jobs wait for it, if there is one."""
        reply = yield self._ask("token")
        next_at = reply.rows[0][0]
        return [] if next_at is None or next_at <= now else [next_at - now]


def _charge(standing: _Standing, now: int, taken: int) -> Iterable[tuple[Any, ...]]:
    """What is to be written of a limit's bucket, if anything. Afterwards the standing is as it will stand."""
    bucket = bucket_of(standing.rate, standing.period)
    before = (standing.full_at, standing.next_at, standing.is_empty, standing.stood_at)
    standing.next_at, standing.is_empty, standing.stood_at = None, 0, None
    if bucket is not None:
        if taken:
            standing.full_at = bucket.take(standing.full_at, now, taken)
        tokens = bucket.tokens(standing.full_at, now)
        standing.stood_at = now if standing.parked or standing.queued else None
        if tokens < bucket.rate and (standing.parked or standing.queued > standing.room(now)):
            standing.next_at = standing.full_at - (bucket.rate - tokens - 1) * bucket.each
            standing.is_empty = int(tokens == 0)
    after = (standing.full_at, standing.next_at, standing.is_empty, standing.stood_at)
    if after != before:
        empty_at = standing.full_at - (bucket.whole if bucket is not None else 0)
        yield standing.full_at, empty_at, *after[1:], standing.key


def room_of(concurrency: int | None, processing: int, bucket: Bucket | None, full_at: int, now: int) -> int:
    """How many more may be claimed."""
    room = UNLIMITED if concurrency is None else concurrency - processing
    if bucket is not None:
        room = min(room, bucket.tokens(full_at, now))
    return max(0, room)


def bucket_of(rate: int | None, period: int | None) -> Bucket | None:
    """The bucket of a limit, if it has a rate."""
    return Bucket(rate, period) if rate is not None and period is not None else None


def _whole(limit: Limit | QueueLimit) -> int:
    bucket = bucket_of(limit.rate, limit.period)
    return 0 if bucket is None else bucket.whole
