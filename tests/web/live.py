"""What tests of streams share: jobs moved through their lives by hand, questions that are counted, a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from stoker import Stoker
from stoker.clock import SECOND
from stoker.job import Claim, Failure, Outcome, Progress, Verdict
from stoker.plan import Plan
from stoker.store import Routing, Want, Worker
from stoker.web import Identity, create
from stoker.web.server import Server, listen, url_of

PATIENCE = 30
"""Seconds after which what should come is given up."""
LEASE = 3600 * SECOND
TASK = "live.task"


class Puppets:
    """An app whose jobs do what the test says, when it says so: it plays the worker."""

    def __init__(self, app: Stoker) -> None:
        self.app = app
        self.store = app.engine.connection.store
        self.task = app.task(name=TASK, expose=True)(_task)
        self._claims: dict[str, Claim] = {}
        self._hired = False

    def enqueue(self, **options: Any) -> str:
        return self.task.using(**options).enqueue().id

    def claim(self, limit: int = 1) -> list[str]:
        """The next jobs in line are processed from now on; with 0, only what is due is queued."""
        run = self.app.engine.run
        if not self._hired:
            run(self.store.register(Worker(id="puppeteer", host="h", pid=1, version="1", concurrency=100), LEASE))
            self._hired = True
        routing = Routing(tasks=frozenset({TASK}))
        claims = run(self.store.exchange("puppeteer", [], [Want(None, limit)], routing, limit)).claims
        self._claims |= {claim.id: claim for claim in claims}
        return [claim.id for claim in claims]

    def begun(self, **options: Any) -> str:
        """A new job, ahead of all others, that is processed."""
        id = self.enqueue(**{"priority": 100} | options)
        assert self.claim() == [id]
        return id

    def progress(self, id: str, value: float, message: str | None = None) -> None:
        claim = self._claims[id]
        self.app.engine.run(
            self.store.heartbeat("puppeteer", [Progress(claim.ref, claim.fence, value, message)], LEASE)
        )

    def end(self, *ids: str, verdict: Verdict = Verdict.COMPLETED, **facts: Any) -> None:
        if verdict is Verdict.COMPLETED:
            facts.setdefault("result", '"done"')
        if verdict is Verdict.FAILED:
            facts.setdefault(
                "failure", Failure(attempt=1, type="ValueError", message="no", traceback="Traceback: secret")
            )
        outcomes = [Outcome((c := self._claims.pop(id)).ref, c.fence, verdict, **facts) for id in ids]
        assert not self.app.engine.run(self.store.exchange("puppeteer", outcomes)).refused


def _task() -> str:
    return "done"


class Toll:
    """Stands before an engine: counts the questions, lets them through one by one if asked to, or breaks them."""

    def __init__(self, engine: Any) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.failed = 0
        self._real = engine.arun
        self._gate: asyncio.Semaphore | None = None
        self.answered = asyncio.Condition()
        engine.arun = self.arun

    def shut(self) -> None:
        """No question gets through but by `let`."""
        self._gate = asyncio.Semaphore(0)

    async def let(self, number: int = 1) -> None:
        """Let so many `changes` through, and wait until they are answered and told."""
        assert self._gate is not None
        for _ in range(number):
            before = self.asked.count("changes")
            self._gate.release()
            async with asyncio.timeout(PATIENCE), self.answered:
                await self.answered.wait_for(lambda: self.asked.count("changes") > before)
            await asyncio.sleep(0)

    async def arun(self, plan: Plan[Any]) -> Any:
        if plan.name == "changes" and self._gate is not None:
            await self._gate.acquire()
        if self.error is not None:
            self.failed += 1
            raise self.error
        answer = await self._real(plan)
        self.asked.append(plan.name)
        async with self.answered:
            self.answered.notify_all()
        return answer


# --- a real server ---------------------------------------------------------------------------------------------------


def by_header(connection: Any) -> Identity | None:
    """Who asks is whom the header `x-user` names."""
    name = connection.headers.get("x-user")
    return None if name is None else Identity(name, admin=name == "root")


class Site:
    """The web application of an app, behind a port of this machine; `around` puts another one around it."""

    def __init__(
        self, app: Stoker, *, around: Callable[[Any], Any] = lambda web: web, port: int = 0, **options: Any
    ) -> None:
        web = create(app, options.pop("identify", by_header), **options)
        self.hub = web.state.desk.hub
        listener = listen("127.0.0.1", port, identified=True)
        self.port = listener.getsockname()[1]
        self.url = url_of(listener).rstrip("/")
        self._up = threading.Event()
        self._server = Server(around(web), listener, part=app.engine.part, announce=self._up.set)
        self._thread = threading.Thread(target=self._run)
        self.loop: asyncio.AbstractEventLoop

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            await self._server.serve()

        asyncio.run(serve())

    def start(self) -> Site:
        self._thread.start()
        assert self._up.wait(PATIENCE)
        return self

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._server.stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server did not end"

    def await_quiet(self) -> None:
        """Wait until nobody is watched for any more."""
        for watcher in list(self.hub._watchers.values()):

            async def ended(watcher: Any = watcher) -> None:
                await asyncio.wait_for(asyncio.shield(watcher.task), PATIENCE)

            asyncio.run_coroutine_threadsafe(ended(), self.loop).result(PATIENCE)


class Event(NamedTuple):
    """One server-sent event; a comment has no data."""

    name: str | None
    id: str | None
    data: Any
    comment: str | None = None


class Stream:
    """What an open answer of server-sent events says, one after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        facts: dict[str, str] = {}
        for line in self._lines:
            if line:
                name, _, value = line.partition(":")
                facts[name] = value.removeprefix(" ")
            elif facts:
                data = json.loads(facts["data"]) if "data" in facts else None
                yield Event(facts.get("event"), facts.get("id"), data, facts.get(""))
                facts = {}

    def events(self) -> Iterator[Event]:
        """Without comments, and without what only says when to connect again."""
        return (event for event in self if event.data is not None)


@contextmanager
def listening(url: str, user: str | None = "root", **headers: str) -> Iterator[Stream]:
    said = {"x-user": user} if user is not None else {}
    with httpx.stream("GET", url, headers=said | headers, timeout=PATIENCE) as response:
        assert response.status_code == 200, response.read()
        yield Stream(response)


# --- a proxy that keeps everything until the answer has ended --------------------------------------------------------


class _Buffering(socketserver.StreamRequestHandler):
    """Takes one request, reads the whole answer, and only then passes it on."""

    def handle(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            lines.append(line)
        server: Any = self.server
        with socket.create_connection(server.behind, PATIENCE) as behind:
            kept = [line for line in lines if not line.lower().startswith(b"connection:")]
            behind.sendall(b"".join(kept) + b"Connection: close\r\n\r\n")
            answer = bytearray()
            while chunk := behind.recv(65536):
                answer += chunk
        self.wfile.write(bytes(answer))


@contextmanager
def buffering_proxy(url: str) -> Iterator[str]:
    """The same site, through a proxy that gives nothing out before it has everything."""
    behind = httpx.URL(url)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Buffering) as server:
        server.daemon_threads = True
        server.behind = (behind.host, behind.port)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)
