"""A page of records, read in pieces: what the records of one page may come to is more than a process should hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from stoker import clock
from stoker.job import Job
from stoker.store import Page
from stoker.web.present import encoded

Read = Callable[[Page, float], Awaitable[list[Job]]]
"""Asks for the records of a page, for so many seconds."""

ROOM: Final = 8_000_000
"""Bytes of records, as JSON, that are held at once; one record more, or those of the first piece."""
_FIRST: Final = 16
"""Records that are read before it is known how large they are."""


async def pieces(read: Read, page: Page, within: float) -> AsyncIterator[Job]:
    """The records of the page, one by one; others have a turn after each. The store has `within` seconds for all."""
    left, wanted, size, met = page.limit, min(_FIRST, page.limit), 0, 0
    while wanted:
        began = clock.monotonic()
        jobs = await read(replace(page, limit=wanted), within)
        within = max(0.0, within - (clock.monotonic() - began))
        for job in jobs:
            size += len(encoded(job))
            yield job
            await asyncio.sleep(0)
        if len(jobs) < wanted:
            return
        left, met = left - len(jobs), met + len(jobs)
        last = jobs[-1].id
        page = replace(page, before=last) if page.after is None else replace(page, after=last)
        wanted = min(left, max(1, ROOM * met // size))
