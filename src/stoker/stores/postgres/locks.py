"""Locks in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable

from stoker.lock_store import Grant
from stoker.plan import Statement, Steps, writing


class PostgresLocks:
    """See `LockStore`."""

    def __init__(self, ask: Callable[..., Statement]) -> None:
        self._ask = ask
        """makes a statement that is a transaction by itself, of its name and parameters"""

    @writing
    def acquire(self, name: str, holder: str, ttl: int) -> Steps[Grant]:
        """See `LockStore.acquire`."""
        reply = yield self._ask("acquire_lock", name=name, holder=holder, ttl=ttl)
        return Grant(*reply.rows[0])

    @writing
    def renew(self, name: str, token: int, ttl: int) -> Steps[bool]:
        """See `LockStore.renew`."""
        reply = yield self._ask("renew_lock", name=name, token=token, ttl=ttl)
        return bool(reply.rows)

    @writing
    def release(self, name: str, token: int) -> Steps[bool]:
        """See `LockStore.release`."""
        reply = yield self._ask("release_lock", name=name, token=token)
        return bool(reply.rows)
