"""The API inside a WSGI application, as Flask's: mounted with the adaptors that are made for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import httpx
import pytest
from a2wsgi import ASGIMiddleware
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from stoker import Context, Stoker
from stoker.web import Identity, create

WAIT = 60.0


class Site:
    """A Flask application with Stoker's routes below /stoker, behind a threaded WSGI server."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.app = Stoker(mode="async")

        @self.app.task(name="slow", expose=True)
        def slow(*, ctx: Context) -> str:
            ctx.progress(1, 2, "half")
            assert self.go.wait(WAIT)
            return "done"

        flask = Flask("site")
        flask.add_url_rule("/", view_func=lambda: "hello", endpoint="hello")
        self._loop = asyncio.new_event_loop()
        web = create(self.app, self.identify, max_streams=1)
        flask.wsgi_app = DispatcherMiddleware(flask.wsgi_app, {"/stoker": ASGIMiddleware(web, loop=self._loop)})
        self._server = make_server("127.0.0.1", 0, flask, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._threads = [threading.Thread(target=run) for run in (self._loop.run_forever, self._server.serve_forever)]
        for thread in self._threads:
            thread.start()

    def identify(self, request) -> Identity | None:
        name = request.headers.get("x-user")
        return Identity(name) if name else None

    def client(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=f"{self.url}/stoker", headers={"x-user": name}, timeout=WAIT)

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self.app.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(WAIT)
        self._server.server_close()
        self._loop.close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def test_the_api_is_there_beside_the_application(site):
    assert httpx.get(site.url, timeout=WAIT).text == "hello"
    assert httpx.get(f"{site.url}/stoker/jobs", timeout=WAIT).status_code == 401
    with site.client("ada") as ada, site.client("bob") as bob:
        made = ada.post("/jobs", json={"task": "slow"})
        assert made.status_code == 202
        assert made.headers["location"] == f"/stoker/jobs/{made.json()['id']}"
        site.go.set()
        assert site.app.jobs.handle(made.json()["id"]).result(WAIT) == "done"
        where = site.url + made.headers["location"]
        assert httpx.get(where, headers={"x-user": "ada"}, timeout=WAIT).json()["result"] == "done"
        assert bob.get(f"/jobs/{made.json()['id']}").status_code == 404
    assert "stoker-progress" in httpx.get(f"{site.url}/stoker/static/progress.js", timeout=WAIT).text


def test_a_stream_holds_a_thread_and_others_poll_once_there_are_enough(site):
    with site.client("ada") as ada, site.client("ada") as other:
        id = ada.post("/jobs", json={"task": "slow"}).json()["id"]
        with ada.stream("GET", f"/jobs/{id}/events") as stream:
            lines = stream.iter_lines()
            assert any('"message":"half"' in line for line in lines)
            refused = other.get(f"/jobs/{id}/events")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            assert other.get(f"/jobs/{id}").json()["state"] == "processing"
            site.go.set()
            assert "event: completed" in list(lines)
