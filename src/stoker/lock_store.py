"""What a store promises about locks."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from stoker.plan import Plan


class Grant(Struct, frozen=True):
    """The answer to who asks for a lock."""

    token: int | None
    """grows with every grant of any lock of this store; None: somebody else has it"""
    free_in: int
    """span until it is free unless it is renewed"""


class LockStore(Protocol):
    """Where locks live. The store's clock says who holds one, and a token tells a late holder from the present one."""

    def acquire(self, name: str, holder: str, ttl: int) -> Plan[Grant]:
        """Give the lock to this holder for a span, if it is free. Who holds it already gets the same token, renewed.

        A lock is free that was released, or whose span ran out.
        """
        ...

    def renew(self, name: str, token: int, ttl: int) -> Plan[bool]:
        """Hold it for a span from now. False: it is not held with that token any more."""
        ...

    def release(self, name: str, token: int) -> Plan[bool]:
        """Free it. False: it was not held with that token any more."""
        ...
