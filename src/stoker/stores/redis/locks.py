"""Locks on a Redis server."""

from __future__ import annotations

from stoker.lock_store import Grant
from stoker.plan import Steps, writing
from stoker.stores.redis.asking import Ask


class RedisLocks:
    """See `LockStore`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @writing
    def acquire(self, name: str, holder: str, ttl: int) -> Steps[Grant]:
        """See `LockStore.acquire`."""
        reply = yield self._ask("acquire_lock", {"name": name, "holder": holder, "ttl": ttl}, alone=True)
        token, free_in = reply.rows[0][0]
        return Grant(token, int(free_in))

    @writing
    def renew(self, name: str, token: int, ttl: int) -> Steps[bool]:
        """See `LockStore.renew`."""
        reply = yield self._ask("renew_lock", {"name": name, "token": token, "ttl": ttl}, alone=True)
        return bool(reply.rows[0][0])

    @writing
    def release(self, name: str, token: int) -> Steps[bool]:
        """See `LockStore.release`."""
        reply = yield self._ask("release_lock", {"name": name, "token": token}, alone=True)
        return bool(reply.rows[0][0])
