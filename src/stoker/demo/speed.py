"""How fast the bytes go by."""

from __future__ import annotations

from collections import deque
from typing import Final

SPAN: Final = 2.0
"""seconds over which the speed is an average"""


class Speed:
    """Bytes per second over the last moments. The caller gives the time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, now: float, bytes: int) -> float:
        """Note how many bytes were done by now (seconds); returns the bytes per second."""
        self._seen.append((now, bytes))
        while now - self._seen[0][0] > SPAN and len(self._seen) > 2:
            self._seen.popleft()
        since, before = self._seen[0]
        return max(0.0, (bytes - before) / (now - since)) if now > since else 0.0

    def begin_anew(self) -> None:
        """Forget the past: nothing went by while nobody worked."""
        self._seen.clear()
