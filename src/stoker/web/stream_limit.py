"""How many streams may be open at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stoker.web.problem import LATER, Problem


class StreamLimit:
    """Counts the open streams of one process, whatever they tell of, and lets no more in than may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[object] = set()  # not a number: streams of several threads come and go

    @contextmanager
    def held(self) -> Iterator[None]:
        """One stream more is open meanwhile. Raises a 503 where there are too many."""
        if len(self._open) >= self._most:
            raise Problem(
                503,
                "too-many-streams",
                "as many streams are open here as may be; ask again, or read the record from time to time",
                headers=LATER,
            )
        place = object()
        self._open.add(place)
        try:
            yield
        finally:
            self._open.discard(place)
