"""A thousand clients at once, each with a connection of its own, on one server."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import places
from stoker import Stoker
from web.live import Puppets, Site

CLIENTS = 1000
JOBS = 20
AT_ONCE = 50
"""Connections that are being opened."""
PATIENCE = 300
"""Seconds for all of it, which takes five where nothing else runs."""
FILES = 2 * CLIENTS + 500
"""Both ends of every connection are in this process."""


@pytest.fixture
def many_files() -> Iterator[None]:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < FILES:
        pytest.skip(f"this machine allows {most} open files; {FILES} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, FILES), most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.fixture(params=["sqlite-normal", "postgres"])
def puppets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Puppets]:
    with places.fresh(request.param, tmp_path) as url:
        app = Stoker(url, mode="queue")
        yield Puppets(app)
        app.close()


class Client:
    """One open stream."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.names: list[bytes] = []
        self.opened = asyncio.Event()

    async def follow(self, url: httpx.URL, turn: asyncio.Semaphore) -> None:
        """Until the server ends it."""
        async with turn:
            reader, writer = await asyncio.open_connection(url.host, url.port)
            asked = (
                f"GET /jobs/{self.id}/events HTTP/1.1\r\nHost: {url.host}\r\nX-User: root\r\nConnection: close\r\n\r\n"
            )
            writer.write(asked.encode())
            while not self.names:
                await self._read(reader)
            self.opened.set()
        while await self._read(reader):
            pass
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        line = await reader.readline()
        assert line or self.names, "the server ended the stream before its first event"
        if line.startswith(b"event: "):
            self.names.append(line.removeprefix(b"event: ").strip())
        return line


def test_a_thousand_clients_all_get_every_final_event(puppets, many_files):
    site = Site(puppets.app, max_streams=CLIENTS).start()
    ids = [puppets.begun() for _ in range(JOBS)]

    async def watch() -> list[Client]:
        clients = [Client(ids[number % JOBS]) for number in range(CLIENTS)]
        turn = asyncio.Semaphore(AT_ONCE)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.follow(httpx.URL(site.url), turn))
            for client in clients:
                await client.opened.wait()
            refused = await asyncio.to_thread(
                httpx.get, f"{site.url}/jobs/{ids[0]}/events", headers={"x-user": "root"}, timeout=PATIENCE
            )
            assert refused.status_code == 503, "one more than may be"
            await asyncio.to_thread(puppets.end, *ids)
        return clients

    try:
        clients = asyncio.run(watch())
        assert Counter(client.names[-1] for client in clients) == {b"completed": CLIENTS}
        assert {client.names.count(b"completed") for client in clients} == {1}
        site.await_quiet()
        assert not site.hub._watchers
    finally:
        site.stop()
