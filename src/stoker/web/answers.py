"""Questions to the store that may be costly, asked so that neither the app nor its workers feel them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar, cast

from msgspec import Struct

from stoker import clock
from stoker.drivers.driver import Driver
from stoker.engine import Engine
from stoker.errors import StoreUnavailable, TookTooLong
from stoker.plan import Plan

T = TypeVar("T")

WITHIN: Final = 2.0
"""Seconds after which the store gives a question up."""
_SHORTEST: Final = 1.5
_LONGEST: Final = 60.0
"""Seconds for which an answer is kept."""
_TIMES: Final = 20
"""An answer is kept so many times as long as it took: asking costs the store a twentieth of its time at most."""
_GIVEN_UP: Final = 30.0
"""Seconds for which a question that took too long is not asked again."""
_MOST: Final = 1_000


class _Kept(Struct, frozen=True):
    answer: Any
    until: float
    """on the monotonic clock"""
    known: bool = True
    """False: it took too long, and was never answered"""


class Answers:
    """Asks on connections of its own, with a time limit; remembers; and asks once for all who want to know at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._driver: Driver | None = None
        self._kept: dict[Hashable, _Kept] = {}
        self._asking: dict[tuple[int, Hashable], asyncio.Task[Any]] = {}
        self._changes = 0

    async def ask(self, plan: Plan[T], within: float = WITHIN) -> T:
        """The answer as it is now. Raises `TookTooLong`."""
        await self._engine.aopen()
        if self._driver is None:
            self._driver = self._engine.aside()
        return await self._driver.ask(plan, within)

    async def kept(self, name: Hashable, plan: Callable[[], Plan[T]], within: float = WITHIN) -> T:
        """The answer as it was a moment ago: seconds, or longer where the question is costly.

        Whoever asks under the same name gets the same. Where it takes too long now, an older answer stands in. Raises
        `TookTooLong` where there is none.
        """
        kept = self._kept.get(name)
        if kept is None or kept.until <= clock.monotonic():
            kept = await self._renewed(name, plan, within)
        if not kept.known:
            raise TookTooLong("the store takes too long to count this now")
        return cast(T, kept.answer)

    def forget(self) -> None:
        """Something was changed: what is asked from now on is asked anew."""
        self._changes += 1
        self._kept.clear()
        self._asking.clear()

    async def _renewed(self, name: Hashable, plan: Callable[[], Plan[Any]], within: float) -> _Kept:
        here = id(asyncio.get_running_loop()), name
        task = self._asking.get(here)
        if task is None:
            task = self._asking[here] = asyncio.ensure_future(self._renew(name, plan, within))
            task.add_done_callback(lambda done: self._asking.get(here) is done and self._asking.pop(here))
        kept: _Kept = await asyncio.shield(task)  # who goes away leaves the others their answer
        return kept

    async def _renew(self, name: Hashable, plan: Callable[[], Plan[Any]], within: float) -> _Kept:
        began, changes = clock.monotonic(), self._changes
        try:
            answer = await self.ask(plan(), within)
        except TookTooLong:
            older = self._kept.get(name)
            known = older is not None and older.known
            kept = _Kept(older.answer if older is not None else None, clock.monotonic() + _GIVEN_UP, known)
        except StoreUnavailable:
            self._kept.pop(name, None)  # what is down is not shown as if it were up
            raise
        else:
            cost = clock.monotonic() - began
            kept = _Kept(answer, clock.monotonic() + min(_LONGEST, max(_SHORTEST, _TIMES * cost)))
        if changes != self._changes:  # it may be an answer from before
            return kept
        self._kept.pop(name, None)
        self._kept[name] = kept
        while len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]
        return kept
