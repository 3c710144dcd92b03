"""Locks in this process's memory."""

from __future__ import annotations

from msgspec import Struct

from stoker.clock import Clock
from stoker.lock_store import Grant
from stoker.stores.memory.immediate import immediate


class _Held(Struct):
    holder: str
    token: int
    until: int


class MemoryLocks:
    """See `LockStore`."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock
        self._tokens = 0
        self._held: dict[str, _Held] = {}

    @immediate
    def acquire(self, name: str, holder: str, ttl: int) -> Grant:
        """See `LockStore.acquire`."""
        now = self._now()
        held = self._held.get(name)
        if held is None or held.until <= now:
            self._tokens += 1
            held = self._held[name] = _Held(holder, self._tokens, now + ttl)
        elif held.holder != holder:
            return Grant(None, held.until - now)
        held.until = now + ttl
        return Grant(held.token, ttl)

    @immediate
    def renew(self, name: str, token: int, ttl: int) -> bool:
        """See `LockStore.renew`."""
        now = self._now()
        held = self._held.get(name)
        if held is None or held.token != token or held.until <= now:
            return False
        held.until = now + ttl
        return True

    @immediate
    def release(self, name: str, token: int) -> bool:
        """See `LockStore.release`."""
        held = self._held.get(name)
        if held is None or held.token != token or held.until <= self._now():
            return False
        del self._held[name]
        return True

    def forget(self, now: int) -> None:
        """Forget what nobody holds any more."""
        for name in [name for name, held in self._held.items() if held.until <= now]:
            del self._held[name]
