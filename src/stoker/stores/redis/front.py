"""The first jobs of a queue, put together from its lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_PLACED: Final = 24
"""Bytes of a ticket that are the place, as `parts/moves.lua` packs it; they sort as jobs are claimed."""


class Front:
    """The lines of a queue, a stretch of each at a time, until the first `limit` of all of them are known."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tickets: list[bytes] = []

    def add(self, tickets: Sequence[bytes], more: Sequence[bytes]) -> list[bytes]:
        """Take in tickets. `more` are lines that go on, each with its last ticket; of these, those to go on with."""
        self._tickets = sorted({*self._tickets, *tickets})[: self._limit]
        full = len(self._tickets) == self._limit
        rest: list[bytes] = []
        for line, last in zip(more[::2], more[1::2], strict=True):
            if not full or last < self._tickets[-1]:
                rest += (line, last)
        return rest

    def ids(self) -> list[str]:
        """Whose tickets they are, in order."""
        return list(dict.fromkeys(map(_id_in, self._tickets)))


def _id_in(ticket: bytes) -> str:
    """Tags follow the id after a NUL, the limit's key after a byte that no text has."""
    return ticket[_PLACED:].partition(b"\xff")[0].partition(b"\0")[0].decode()
