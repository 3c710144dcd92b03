"""Locks in a SQLite file. Their tokens are the numbers of their rows, none of which is ever used again."""

from __future__ import annotations

from stoker.clock import Clock
from stoker.lock_store import Grant
from stoker.plan import Steps, writing
from stoker.stores.sqlite.texts import Texts


class SqliteLocks:
    """See `LockStore`."""

    def __init__(self, clock: Clock, texts: Texts) -> None:
        self._now = clock
        self._ask = texts.ask

    @writing
    def acquire(self, name: str, holder: str, ttl: int) -> Steps[Grant]:
        """See `LockStore.acquire`."""
        now = self._now()
        yield self._ask("free_lock", name=name, now=now)
        reply = yield self._ask("lock", name=name)
        if not reply.rows:
            reply = yield self._ask("take_lock", name=name, holder=holder, until=now + ttl)
            return Grant(reply.rows[0][0], ttl)
        held_by, token, until = reply.rows[0]
        if held_by != holder:
            return Grant(None, until - now)
        yield self._ask("renew_lock", name=name, token=token, now=now, until=now + ttl)
        return Grant(token, ttl)

    @writing
    def renew(self, name: str, token: int, ttl: int) -> Steps[bool]:
        """See `LockStore.renew`."""
        now = self._now()
        reply = yield self._ask("renew_lock", name=name, token=token, now=now, until=now + ttl)
        return reply.changed == 1

    @writing
    def release(self, name: str, token: int) -> Steps[bool]:
        """See `LockStore.release`."""
        reply = yield self._ask("release_lock", name=name, token=token, now=self._now())
        return reply.changed == 1
