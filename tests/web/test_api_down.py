"""A store that is down: every route says so, and goes on by itself once it is back."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

import pytest
from servers import PostgresServer, RedisServer
from servers.process import ServerMissing
from tests.web.conftest import Site, declare

from stoker import Stoker
from stoker.drivers.memory import MemoryDriver
from stoker.errors import StoreBroken, StoreUnavailable, TookTooLong
from stoker.web import health
from stoker.web.api import Api

pytestmark = pytest.mark.asyncio

BODIES: dict[str, Any] = {
    "/jobs": {"task": "add", "args": [1]},
    "/schedules": {"expression": "every day", "task": "add", "args": [1]},
    "/jobs/cancel": {"filter": {"queue": "mail"}},
    "/jobs/retry": {"filter": {"queue": "mail"}},
    "/jobs/delete": {"filter": {"queue": "mail"}},
}
FREE = {"/health/live", "/openapi.json"}
"""Routes that ask the store nothing."""


def requests(site: Any) -> list[tuple[str, str, Any]]:
    found = []
    for operation in Api(site.web.state.desk).operations:
        path = operation.address.format(id="01890000-0000-7000-8000-000000000000", name="x")
        found.append((operation.method, path, BODIES.get(path) if operation.method == "POST" else None))
    assert len(found) > 30
    return found


@pytest.mark.parametrize(
    "error", [StoreUnavailable("CANARY"), StoreBroken("CANARY"), TookTooLong("too long")], ids=type
)
async def test_every_route_says_so(memory_site: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    await memory_site.enqueue()

    def down(*_: Any) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(MemoryDriver, "run", down)
        for who in ("ann", "root"):
            for method, path, body in requests(memory_site):
                said = await memory_site.by(who).request(method, path, json=body)
                if path in FREE:
                    assert said.status_code == 200, path
                elif who == "root" or said.status_code != 403:
                    assert said.status_code == 503, (path, said.text)
                    assert said.headers["retry-after"] == "2", path
                    assert said.headers["content-type"] == "application/problem+json", path
                    assert "CANARY" not in said.text, path
    for method, path, body in requests(memory_site):
        if path.endswith("/events"):
            continue
        said = await memory_site.admin.request(method, path, json=body)
        assert said.status_code < 500, (path, said.text)


async def test_tokens_are_no_good_while_their_secret_cannot_be_read(
    memory_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> Any:
        raise StoreUnavailable("down")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryDriver, "run", down)
        assert (await memory_site.by(None).get("/jobs/x", params={"token": "a.b"})).status_code == 503
    assert (await memory_site.by(None).get("/jobs/x", params={"token": "a.b"})).status_code == 401


async def test_a_store_that_never_answers_is_not_ready(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any) -> Any:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(health, "_WITHIN", 0.01)
        patched.setattr(MemoryDriver, "ask", hang)
        said = await memory_site.by(None).get("/health/ready")
        assert (said.status_code, said.headers["retry-after"]) == (503, "2")
    assert (await memory_site.by(None).get("/health/ready")).status_code == 200


async def test_a_store_that_is_yet_to_be_migrated_is_not_ready(
    memory_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stoker.plan import reading
    from stoker.stores.memory import MemoryStore

    @reading
    def pending(*_: Any) -> Any:
        return ["0003_more"]
        yield

    await memory_site.enqueue()
    monkeypatch.setattr(MemoryStore, "pending", pending)
    said = await memory_site.by(None).get("/health/ready")
    assert (said.status_code, said.json()["type"]) == (503, "urn:stoker:not-migrated")


async def test_the_first_request_makes_the_store(site: Any, unhurried: None) -> None:
    """Nothing was opened before, and whoever asks first does not wait for another."""
    assert (await site.by(None).get("/health/ready")).status_code == 200
    assert (await site.ann.get("/jobs")).json() == {"jobs": [], "next": None}


@pytest.mark.parametrize("kind", ["postgres", "redis"])
async def test_a_server_that_stops_and_comes_back(kind: str, unhurried: None) -> None:
    """The real thing: the same application answers 503 meanwhile, and the right thing after."""
    make = PostgresServer if kind == "postgres" else lambda: RedisServer(durable=True)
    try:
        server = make().start()
    except ServerMissing as missing:
        if "CI" in os.environ:
            raise
        pytest.skip(str(missing))
    try:
        async with AsyncExitStack() as clients:
            app = Stoker(server.url)
            clients.push_async_callback(app.aclose)
            declare(app)
            site = Site(app, clients)
            job = (await site.ann.post("/jobs", json={"task": "add", "args": [1]})).json()
            assert (await site.by(None).get("/health/ready")).status_code == 200
            server.stop()
            for method, path, body in (
                *(("GET", "/jobs", None), ("GET", f"/jobs/{job['id']}", None), ("GET", "/stats", None)),
                *(("POST", "/jobs", {"task": "add", "args": [2]}), ("POST", f"/jobs/{job['id']}/cancel", {})),
                ("GET", "/health/ready", None),
            ):
                said = await site.ann.request(method, path, json=body)
                assert (said.status_code, said.headers.get("retry-after")) == (503, "2"), (path, said.text)
            server.start()
            async with asyncio.timeout(60):
                while (await site.by(None).get("/health/ready")).status_code != 200:
                    pass
            assert (await site.ann.get(f"/jobs/{job['id']}")).json() == job
            assert (await site.ann.get("/stats")).json()["jobs"] == {"queued": 1}
    finally:
        server.close()
