"""The token bucket, as every store reckons it: one number says how full it is at any time.

That number is the instant at which the bucket is full again. Each token that is taken puts it off by the span in which
one comes in. All in whole microseconds, so that every database comes to the same.
"""

from __future__ import annotations

from msgspec import Struct


class Bucket(Struct, frozen=True):
    """A bucket that holds `rate` tokens, and gets as many in a `period`."""

    rate: int
    period: int
    """span"""

    @property
    def each(self) -> int:
        """The span in which one token comes in."""
        return max(1, self.period // self.rate)

    @property
    def whole(self) -> int:
        """The span in which it is filled."""
        return self.rate * self.each

    def mended(self, full_at: int, now: int) -> int:
        """When it is full again. Never emptier than empty, whatever a clock that stepped back or another rate left."""
        return min(full_at, now + self.whole)

    def tokens(self, full_at: int, now: int) -> int:
        """Tokens in it."""
        return max(0, self.whole - max(0, full_at - now)) // self.each

    def take(self, full_at: int, now: int, tokens: int) -> int:
        """When it is full again, if so many are taken now."""
        return max(full_at, now) + tokens * self.each

    def token_in(self, full_at: int, now: int) -> int:
        """The span until there is a token in it; 0: there is one."""
        return max(0, full_at - now - (self.rate - 1) * self.each)
