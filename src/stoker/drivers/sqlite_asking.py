"""Questions to a SQLite file that are given up in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from stoker.drivers.driver import GIVEN_UP
from stoker.errors import TookTooLong
from stoker.plan import Plan

T = TypeVar("T")

_AT_ONCE: Final = 4
"""Questions that are asked at once. Those that are too many wait for their turn, and their time runs."""


class Asking:
    """A few threads that ask, so that other readers never wait for a costly question."""

    def __init__(self, read: Callable[[Plan[Any], Callable[[], bool]], Any]) -> None:
        """`read`: runs a plan until it is told that it is over, and then raises."""
        self._read = read
        self._threads = ThreadPoolExecutor(_AT_ONCE, "stoker-sqlite-ask")
        self._stopped = threading.Event()

    async def ask(self, plan: Plan[T], within: float) -> T:
        """See `Driver.ask`. A question that nobody waits for any more is given up as well."""
        dropped = threading.Event()
        limit = asyncio.timeout(within)

        def answer() -> T:
            result: T = self._read(plan, lambda: dropped.is_set() or self._stopped.is_set())
            return result

        try:
            async with limit:
                return await asyncio.get_running_loop().run_in_executor(self._threads, answer)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TookTooLong(GIVEN_UP) from None
        finally:
            dropped.set()

    def stop(self) -> None:
        """Give up what is being asked, and end the threads."""
        self._stopped.set()
        self._threads.shutdown(cancel_futures=True)
