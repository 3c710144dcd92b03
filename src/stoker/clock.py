"""The only module that reads time or randomness.

Instants are integers: microseconds since 1970 in UTC. Spans are integers too: microseconds. Both become `datetime`,
`timedelta` or float seconds only where a person or another library wants them.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from stoker.forking import mind

Clock = Callable[[], int]
"""Gives the present instant."""

SECOND: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """The wall clock, as an instant."""
    return time.time_ns() // 1000


def monotonic() -> float:
    """Seconds on a clock that never steps back; only differences mean anything."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Block this thread. For waits on another process only; waits inside the process use events."""
    time.sleep(seconds)


def chance() -> random.Random:
    """A source of randomness, seeded by the operating system."""
    return random.Random()  # noqa: S311 - for jitter and turns, not for secrets


def secret() -> str:
    """A text that nobody can guess."""
    return secrets.token_urlsafe(32)


def to_datetime(instant: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


def to_instant(moment: datetime) -> int:
    """The instant of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_span(seconds: float) -> int:
    """The span of that many seconds."""
    return round(seconds * SECOND)


def derived_id(instant: int, *parts: str) -> str:
    """An id of that instant (to the millisecond) that is always the same for the same parts: a UUID of version 7."""
    noise = int.from_bytes(blake2b("\x00".join(parts).encode(), digest_size=10).digest())
    return _uuid7((instant // 1000 << 12) | noise >> 64 & 0xFFF, noise & 0xFFFFFFFFFFFFFFFF)


def instant_of(id: str) -> int:
    """The instant (to the millisecond) at which an id was made."""
    return int(id[:8] + id[9:13], 16) * 1000


def _uuid7(stamp: int, noise: int) -> str:
    value = f"{stamp >> 12:012x}7{stamp & 0xFFF:03x}{noise & 0x3FFFFFFFFFFFFFFF | 0x8000000000000000:016x}"
    return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


class IdSource:
    """Makes job ids: UUIDs of version 7, so they sort by the time of their making.

    Within one process ids grow strictly, also when the wall clock stands still or steps back. Random bits are drawn
    for many ids at once, because one system call an id costs more than the rest of an enqueue.
    """

    _BATCH = 256

    def __init__(self, clock: Clock = now) -> None:
        self._clock = clock
        self._last = 0
        self._begin()
        mind(self)

    def before_fork(self) -> None:
        """See `forking`: a child gets a lock and noise of its own."""

    def after_fork(self, *, child: bool) -> None:
        """See `forking`: a child must not repeat its parent's noise, nor wait for a lock whose holder stayed there."""
        if child:
            self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._noise = b""
        self._used = 0

    def __call__(self) -> str:
        """One new id."""
        return self.take(1)[0]

    def take(self, count: int) -> list[str]:
        """That many new ids, in growing order."""
        with self._lock:
            return [self._next() for _ in range(count)]

    def _next(self) -> str:
        # 48 bits of milliseconds and 12 bits of fraction (RFC 9562, method 3) make one number that only grows.
        micros = self._clock()
        stamp = (micros // 1000 << 12) | (micros % 1000 * 4096 // 1000)
        self._last = stamp = max(stamp, self._last + 1)
        if self._used >= len(self._noise):
            self._noise, self._used = os.urandom(8 * self._BATCH), 0
        noise = int.from_bytes(self._noise[self._used : self._used + 8])
        self._used += 8
        return _uuid7(stamp, noise)
