"""Fetches the results that steps of workflows are waiting for: one query at a time for all that ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from stoker.drivers.driver import Driver
from stoker.store import Store

_MOST: Final = 10_000
"""Results of one query, unless one step alone needs more."""


class Feeder:
    """Results of finished jobs, for many steps at once."""

    def __init__(self, store: Store, driver: Driver) -> None:
        self._store = store
        self._driver = driver
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Mapping[str, str]]]] = []
        self._fetching: asyncio.Task[None] | None = None

    async def results(self, ids: Sequence[str]) -> Mapping[str, str]:
        """What these jobs returned (and others, maybe), as JSON by id. Raises what the store raises."""
        future: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._waiting.append((ids, future))
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return await future

    async def _fetch(self) -> None:
        try:
            while self._waiting:
                await self._serve(self._next())
        finally:
            self._fetching = None

    def _next(self) -> list[tuple[Sequence[str], asyncio.Future[Mapping[str, str]]]]:
        count = asked = 0
        for ids, _ in self._waiting:
            asked += len(ids)
            if count and asked > _MOST:
                break
            count += 1
        served, self._waiting = self._waiting[:count], self._waiting[count:]
        return served

    async def _serve(self, served: list[tuple[Sequence[str], asyncio.Future[Mapping[str, str]]]]) -> None:
        wanted = dict.fromkeys(id for ids, _ in served for id in ids)
        try:
            found = await self._driver.arun(self._store.results(list(wanted)))
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            for _, future in served:
                if not future.done():
                    future.set_exception(error)
            return
        for _, future in served:
            if not future.done():
                future.set_result(found)
