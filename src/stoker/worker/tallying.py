"""How attempts ended, counted on the event loop and told to the store now and then."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import Final

from stoker.drivers.driver import Driver
from stoker.errors import StokerError
from stoker.job import Verdict
from stoker.store import Store
from stoker.tally_store import Tally

EVERY: Final = 5.0
"""seconds between two times of telling"""
MOST_UNTOLD: Final = 10_000
"""queues, times ways to end, whose numbers are kept while the store does not take them"""

_NAMES: Final = {
    Verdict.COMPLETED: "completed",
    Verdict.FAILED: "failed",
    Verdict.RETRY: "retried",
    Verdict.CANCELLED: "cancelled",
}
"""Other ends are no news: the same attempt is made again."""


class Tallying:
    """Statistics: what a store refused is told again, what a worker that is killed had not told is gone."""

    def __init__(self, store: Store, driver: Driver) -> None:
        self._store = store
        self._driver = driver
        self._completed: defaultdict[str, int] = defaultdict(int)
        self._others: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._untold: Counter[tuple[str, str]] = Counter()
        """by queue and name, handed over by the loop"""
        self._due_at = 0.0

    # --- on the loop ------------------------------------------------------------------------------------------------

    def count(self, queue: str, verdict: Verdict) -> None:
        """An attempt at a job of this queue ended so."""
        if verdict is Verdict.COMPLETED:
            self._completed[queue] += 1
        elif verdict in _NAMES:
            self._others[queue, _NAMES[verdict]] += 1

    def hand_over(self) -> None:
        """Let the other thread have what was counted since the last time."""
        if not (self._completed or self._others):
            return
        with self._lock:
            self._add(self._others)
            self._add({(queue, "completed"): number for queue, number in self._completed.items()})
        self._others.clear()
        self._completed.clear()

    # --- in the keeper's thread -------------------------------------------------------------------------------------

    def due(self, now: float) -> bool:
        """Whether there is something that should be told now."""
        return now >= self._due_at and bool(self._untold)

    def tell(self, now: float) -> None:
        """Tell the store what was handed over. What the store raises is raised, and the numbers are kept."""
        self._due_at = now + EVERY
        with self._lock:
            numbers, self._untold = self._untold, Counter()
        if not numbers:
            return
        try:
            self._driver.run(self._store.tallies.add(_tallies(numbers)))
        except StokerError:
            with self._lock:
                self._add(numbers)
            raise

    def _add(self, numbers: Counter[tuple[str, str]] | dict[tuple[str, str], int]) -> None:
        for place, number in numbers.items():
            if place in self._untold or len(self._untold) < MOST_UNTOLD:
                self._untold[place] += number


def _tallies(numbers: Counter[tuple[str, str]]) -> list[Tally]:
    queues: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (queue, name), number in numbers.items():
        queues[queue][name] = number
    return [Tally(queue=queue, **named) for queue, named in sorted(queues.items())]
