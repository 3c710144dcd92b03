"""A web application on each store, and clients that ask it in somebody's name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
import pytest_asyncio
from starlette.requests import HTTPConnection

import places
from stoker import Context, Stoker
from stoker.call import Call
from stoker.job import Job
from stoker.store import Worker
from stoker.web import Identity, create

STORES = {"memory": "memory", "sqlite": "sqlite-normal", "postgres": "postgres", "redis": "redis"}

ADMIN = "root"


def identify(connection: HTTPConnection) -> Identity | None:
    """Whoever the header `x-user` names; `root` is admin."""
    quoted = connection.headers.get("x-user")
    if quoted is None:
        return None
    name = unquote(quoted)
    return Identity(None, admin=True) if name == ADMIN else Identity(name)


def declare(app: Stoker) -> None:
    """Tasks of every kind that the API has to do with."""

    @app.task(name="jobs.add", expose=True)
    def add(a: int, b: int = 1) -> int:
        return a + b

    @app.task(name="jobs.echo", expose=True)
    def echo(value: Any = None, *rest: Any, password: str = "", **more: Any) -> Any:
        return value

    @app.task(name="jobs.boom", expose=True)
    def boom(message: str = "it broke") -> None:
        raise ValueError(message)

    @app.task(name="jobs.hidden")
    def hidden() -> None: ...

    @app.task(name="jobs.keyed", expose=True, key=lambda at: at.isoformat())
    def keyed(at: datetime) -> None: ...

    @app.task(name="jobs.picky", expose=True, key=lambda value: value["id"])
    def picky(value: Any) -> None: ...

    @app.task(name="jobs.throttled", expose=True, throttle=3600)
    def throttled(value: int) -> None: ...

    @app.task(name="jobs.debounced", expose=True, debounce=3600)
    def debounced(value: int) -> None: ...

    @app.task(name="jobs.shared", expose=True, concurrency=1, by="secret")
    def shared(secret: str) -> None: ...

    @app.task(name="jobs.noted", expose=True)
    async def noted(ctx: Context) -> None:
        ctx.log.info("it said this")


class Site:
    """An app with its web application, as it is reached by clients."""

    def __init__(self, app: Stoker, clients: AsyncExitStack) -> None:
        self.app = app
        self.web: Any = create(app, identify)
        self._clients = clients
        self._known: dict[str | None, httpx.AsyncClient] = {}

    def serve(self, **options: Any) -> None:
        """Serve it otherwise from now on."""
        self.web = create(self.app, **{"identify": identify, **options})
        self._known.clear()

    def by(self, who: str | None, **headers: str) -> httpx.AsyncClient:
        """A client of somebody; None: of nobody that is known."""
        if who in self._known and not headers:
            return self._known[who]
        if who is not None:
            headers["x-user"] = quote(who)
        transport = httpx.ASGITransport(self.web)
        client = httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)
        self._clients.push_async_callback(client.aclose)
        return self._known.setdefault(who, client)

    @property
    def admin(self) -> httpx.AsyncClient:
        return self.by(ADMIN)

    @property
    def ann(self) -> httpx.AsyncClient:
        return self.by("ann")

    @property
    def bob(self) -> httpx.AsyncClient:
        return self.by("bob")

    async def enqueue(self, who: str | None = "ann", task: str = "jobs.add", args: Any = (1,), **more: Any) -> Job:
        """A job, made in the app and not over HTTP."""
        bound = self.app.registry.get(task)
        options = bound.options.using({"owner": who, **more.pop("options", {})})
        [made] = await self.app.engine.ainsert([Call(bound, options, args, more)])
        return await self.app.jobs.aget(made.id)

    async def work(self) -> None:
        """Run what is due, to its end."""
        await self.app.worker(drain=True, concurrency=4).serve()

    async def some_worker(self, id: str = "w1") -> None:
        """Have a worker that is alive, and does nothing."""
        worker = Worker(id=id, host="here", pid=1, version="0", concurrency=3)
        await self.app.engine.arun(self.app.engine.connection.store.register(worker, 60_000_000))


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty place of each store."""
    monkeypatch.chdir(tmp_path)
    with places.fresh(STORES[request.param], tmp_path) as url:
        yield url


@pytest_asyncio.fixture
async def site(store_url: str) -> AsyncIterator[Site]:
    """On each store."""
    async with _on(Stoker(store_url)) as made:
        yield made


@pytest_asyncio.fixture
async def memory_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """In memory, for what has nothing to do with the store."""
    monkeypatch.chdir(tmp_path)
    async with _on(Stoker("memory://")) as made:
        yield made


@pytest_asyncio.fixture
async def background_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """With a worker in the background of this process."""
    monkeypatch.chdir(tmp_path)
    async with _on(Stoker(mode="async")) as made:
        yield made


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is first made, or shares a busy machine with others, is ready all the same."""
    monkeypatch.setattr("stoker.web.health._WITHIN", 60.0)


@asynccontextmanager
async def _on(app: Stoker) -> AsyncIterator[Site]:
    declare(app)
    async with AsyncExitStack() as clients:
        clients.push_async_callback(app.aclose)
        yield Site(app, clients)
