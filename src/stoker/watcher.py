"""Waits for the ends of jobs, for many coroutines at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from stoker.batcher import MAX_BATCH
from stoker.errors import JobNotFound
from stoker.job import FINAL, Job
from stoker.store import Filter, Page

FIRST_LOOK: Final = 0.002
LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks for a job's end; the pause doubles from the first to the longest."""

Find = Callable[[Filter, Page], Awaitable[Sequence[Job]]]
"""Asks the store for records."""


class Watcher:
    """Waits for the ends of many jobs with one query at a time."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._waiting: dict[str, list[asyncio.Future[Job]]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._pause = FIRST_LOOK

    async def wait(self, id: str) -> Job:
        """The record of a job once it has finished. Raises `JobNotFound`, and what the store raises."""
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(id, []).append(future)
        self._pause = FIRST_LOOK
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())
        return await future

    async def _look(self) -> None:
        try:
            while self._drop_cancelled():
                ids = tuple(self._waiting)
                for start in range(0, len(ids), MAX_BATCH):
                    await self._ask(ids[start : start + MAX_BATCH])
                await asyncio.sleep(self._pause)
                self._pause = min(LONGEST_PAUSE, self._pause * 2)
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            for futures in self._waiting.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            self._waiting.clear()
        finally:
            self._looking = None

    def _drop_cancelled(self) -> bool:
        for id, futures in list(self._waiting.items()):
            if all(future.done() for future in futures):
                del self._waiting[id]
        return bool(self._waiting)

    async def _ask(self, ids: tuple[str, ...]) -> None:
        counts: dict[str, int] = {}
        ended = await self._find(Filter(ids=ids, states=tuple(sorted(FINAL))), Page(len(ids)))
        for job in ended:
            counts[job.id] = 1
            for future in self._waiting.pop(job.id, ()):
                if not future.done():
                    future.set_result(job)
        if self._pause >= LONGEST_PAUSE:  # not too often: is any of them gone for good?
            live = {job.id for job in await self._find(Filter(ids=ids), Page(len(ids)))}
            for id in set(ids) - live - counts.keys():
                for future in self._waiting.pop(id, ()):
                    if not future.done():
                        future.set_exception(JobNotFound(id))
