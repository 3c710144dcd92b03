"""How often an identity may ask: a token bucket for each, in this process."""

from __future__ import annotations

import math
from typing import Final

from stoker import clock
from stoker.options import Rate
from stoker.web.identity import Identity

_MOST: Final = 10_000
"""Identities that are remembered; the one that was quiet longest is forgotten first."""


class Pace:
    """Lets each identity through at a rate."""

    def __init__(self, rate: Rate | None) -> None:
        self._rate = rate
        self._full_at: dict[Identity, float] = {}
        """when the bucket will be full again, on the monotonic clock"""

    def wait(self, identity: Identity) -> int:
        """0, and one is taken from the bucket; or the whole seconds until there is one."""
        if self._rate is None:
            return 0
        now = clock.monotonic()
        period = self._rate.period / clock.SECOND
        full_at = max(now, self._full_at.pop(identity, now)) + period / self._rate.number
        if full_at - now > period:
            self._full_at[identity] = full_at - period / self._rate.number
            return math.ceil(full_at - now - period)
        self._full_at[identity] = full_at
        if len(self._full_at) > _MOST:
            del self._full_at[next(iter(self._full_at))]
        return 0
