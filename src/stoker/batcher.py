"""Enqueues what many coroutines enqueue at once, together."""

from __future__ import annotations

import asyncio
from typing import Final

from stoker.connect import Connection
from stoker.errors import StokerError
from stoker.job import Inserted, NewJob

MAX_BATCH: Final = 1000
"""Jobs that one question to the store is about."""


class Batcher:
    """Puts what many coroutines enqueue at once into one insert: one under way at a time, the rest ride the next."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[NewJob, asyncio.Future[Inserted]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def insert(self, job: NewJob) -> Inserted:
        """Enqueue it with the others; what the store answers. Raises what the store raises for it."""
        future: asyncio.Future[Inserted] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if self._flushing is None:
            self._flushing = asyncio.ensure_future(self._flush())
        return await future

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                await self._insert(batch)
        finally:
            self._flushing = None

    async def _insert(self, batch: list[tuple[NewJob, asyncio.Future[Inserted]]]) -> None:
        store, driver = self._connection
        try:
            answers = await driver.arun(store.insert([job for job, _ in batch]))
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            if len(batch) > 1 and not isinstance(error, StokerError):  # one of them is to blame; the others are not
                for one in batch:
                    await self._insert([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
