"""One app a test, in every mode and on every store where the same is promised, with a worker in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import places
from stoker import Stoker
from stoker.worker.loop import WorkerLoop

QUEUES = ("queue-memory", "queue-sqlite", "queue-postgres", "queue-redis")
PLACES = (*QUEUES, "async", "foreground")
PATIENCE = 180.0
"""seconds before a worker that should have begun, or ended, is given up"""


class Serving:
    """A worker in a thread of its own, with its own event loop."""

    def __init__(self, app: Stoker, **options: Any) -> None:
        self._app = app
        self._options = options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.error: BaseException | None = None
        self.worker: WorkerLoop
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> Serving:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return self

    def stop(self, grace: float | None = None) -> None:
        if self._thread.is_alive():
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self.worker.stop, grace)
        self.join()

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the worker did not end"
        if self.error is not None:
            raise self.error

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        started = asyncio.Event()
        watching = asyncio.ensure_future(started.wait())
        watching.add_done_callback(lambda _: self._ready.set())
        try:
            self.worker = self._app.worker(**self._options)
            await self.worker.serve(started)
        except BaseException as error:
            self.error = error
        finally:
            self._ready.set()
            watching.cancel()


STORES = {"sqlite": "sqlite-normal", "postgres": "postgres", "redis": "redis"}


class Place:
    """An app, and what it takes for its jobs to run."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.mode, _, store = name.partition("-")
        self._fresh = places.fresh(STORES.get(store, "memory"), folder)
        self.url = self._fresh.__enter__()
        self.app = Stoker(self.url, mode=self.mode)  # type: ignore[arg-type]
        self._serving: list[Serving] = []

    def work(self, **options: Any) -> Serving | None:
        """Have jobs run from now on. Where they run anyway, nothing needs to be done."""
        return self.worker(**options) if self.mode == "queue" else None

    def worker(self, **options: Any) -> Serving:
        serving = Serving(self.app, **options)
        self._serving.append(serving)
        return serving.start()

    def drain(self, **options: Any) -> None:
        """Run what is due, to its end."""
        if self.mode == "queue":
            self.worker(**{"drain": True, "concurrency": 1, **options}).join()

    def close_workers(self, grace: float | None = 0) -> None:
        for serving in self._serving:
            serving.stop(grace)

    def close(self) -> None:
        try:
            self.close_workers()
        finally:
            self.app.close()
            self._fresh.__exit__(None, None, None)


@pytest.fixture
def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Place]]:
    for name in ("STOKER_URL", "STOKER_MODE", "STOKER_LEASE", "STOKER_GRACE", "STOKER_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made: list[Place] = []

    def make(name: str) -> Place:
        made.append(Place(name, tmp_path))
        return made[-1]

    yield make
    for place in made:
        place.close()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, make_place: Callable[[str], Place]) -> Place:
    """Every mode and store."""
    return make_place(request.param)


@pytest.fixture(params=[*QUEUES, "async"])
def running_place(request: pytest.FixtureRequest, make_place: Callable[[str], Place]) -> Place:
    """Where jobs run beside the caller."""
    return make_place(request.param)


@pytest.fixture(params=QUEUES)
def queue_place(request: pytest.FixtureRequest, make_place: Callable[[str], Place]) -> Place:
    """Where jobs wait until a worker comes."""
    return make_place(request.param)


@pytest.fixture
def sqlite_place(make_place: Callable[[str], Place]) -> Place:
    return make_place("queue-sqlite")


@pytest.fixture
def memory_place(make_place: Callable[[str], Place]) -> Place:
    return make_place("queue-memory")
