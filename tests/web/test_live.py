"""Streams of a job over real connections: server-sent events and WebSockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import places
from stoker import Stoker, tokens
from stoker.errors import StoreUnavailable
from stoker.job import Job, Verdict
from web.live import PATIENCE, Puppets, Site, buffering_proxy, listening

STORES = ["memory", "sqlite-normal", "postgres", "redis"]


@pytest.fixture(params=STORES)
def each_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Puppets]:
    with places.fresh(request.param, tmp_path) as url:
        app = Stoker(url, mode="queue")
        yield Puppets(app)
        app.close()


@pytest.fixture
def puppets() -> Iterator[Puppets]:
    app = Stoker("memory://", mode="queue")
    yield Puppets(app)
    app.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def start(puppets: Puppets, **options: Any) -> Site:
        sites.append(Site(puppets.app, **options).start())
        return sites[-1]

    yield start
    for site in sites:
        site.stop()


@pytest.fixture
def site(puppets: Puppets, serve: Callable[..., Site]) -> Site:
    return serve(puppets)


def events_of(site: Site | str, id: str, **query: str) -> str:
    url = site if isinstance(site, str) else site.url
    return str(httpx.URL(f"{url}/jobs/{id}/events", params=query))


def get(url: str, user: str | None = "root", **headers: str) -> httpx.Response:
    """An answer that ends by itself."""
    said = {"x-user": user} if user is not None else {}
    return httpx.get(url, headers=said | headers, timeout=PATIENCE)


# --- server-sent events ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [Verdict.COMPLETED, Verdict.FAILED, Verdict.CANCELLED], ids=str)
def test_a_stream_tells_every_change_and_ends_with_the_final_state(each_store, serve, verdict):
    puppets = each_store
    site = serve(puppets)
    id = puppets.begun(owner="anna")
    with listening(events_of(site, id), "anna") as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["x-accel-buffering"] == "no"
        told = stream.events()
        assert next(told).data["progress"] is None
        for step in (0.25, 0.5):
            puppets.progress(id, step, f"at {step}")
            event = next(told)
            assert (event.name, event.data["progress"], event.data["message"]) == ("progress", step, f"at {step}")
        puppets.end(id, verdict=verdict, progress=1.0)
        last = next(told)
        assert (last.name, last.data["state"], last.data["progress"]) == (verdict.value, verdict.value, 1.0)
        assert list(told) == []
    assert set(last.data) == set(Job.__struct_fields__)
    assert last.data == get(f"{site.url}/jobs/{id}", "anna").json()


def test_the_ids_are_the_instants_of_the_records(puppets, site):
    id = puppets.begun()
    with listening(events_of(site, id)) as stream:
        told = stream.events()
        ids = [next(told).id]
        puppets.progress(id, 0.5)
        ids.append(next(told).id)
        puppets.end(id)
        ids.append(next(told).id)
    updated = puppets.app.jobs.get(id).updated_at
    assert int(ids[-1]) == round(updated.timestamp() * 1_000_000)
    assert all(int(first) < int(second) for first, second in pairwise(ids))


def test_a_stream_begins_with_how_long_to_wait_before_the_next_connection(puppets, site):
    id = puppets.begun()
    puppets.end(id)
    assert get(events_of(site, id)).text.startswith("retry: 2000\n\n")


def test_a_finished_job_is_told_once(puppets, site):
    id = puppets.begun()
    puppets.end(id)
    with listening(events_of(site, id)) as stream:
        assert [event.name for event in stream.events()] == ["completed"]


@pytest.mark.parametrize("way", ["header", "query"])
def test_what_was_seen_is_not_sent_again(puppets, site, way):
    id = puppets.begun()
    with listening(events_of(site, id)) as stream:
        seen = next(stream.events()).id
    query, headers = ({"last_event_id": seen}, {}) if way == "query" else ({}, {"last-event-id": seen})
    with listening(events_of(site, id, **query), **headers) as stream:
        puppets.progress(id, 0.5)
        assert next(stream.events()).data["progress"] == 0.5


def test_who_saw_the_end_is_told_to_come_no_more(puppets, site):
    id = puppets.begun()
    with listening(events_of(site, id)) as stream:
        told = stream.events()
        seen = next(told).id
        puppets.end(id)
        last = next(told).id
    assert get(events_of(site, id), **{"last-event-id": last}).status_code == 204
    for again in (get(events_of(site, id), **{"last-event-id": seen}), get(events_of(site, id, last_event_id=last))):
        assert again.status_code == 200
        assert "event: completed" in again.text


def test_a_place_in_line_stands_beside_the_fields_of_the_record(puppets, site):
    puppets.enqueue()
    id = puppets.enqueue()
    with listening(events_of(site, id)) as stream:
        told = stream.events()
        assert "position" not in next(told).data
        event = next(told)
        assert event.name == "progress"
        assert event.data["position"] == 1
        assert set(event.data) == {*Job.__struct_fields__, "position"}


def test_a_deleted_job_ends_its_stream(puppets, site):
    id = puppets.enqueue()
    with listening(events_of(site, id)) as stream:
        told = stream.events()
        next(told)
        assert puppets.app.jobs.delete(id) == 1
        last = list(told)[-1]
        assert (last.name, last.data) == ("gone", {"id": id})


def test_silence_is_broken_by_comments(puppets, serve, monkeypatch):
    monkeypatch.setattr("stoker.web.streams._QUIET", 0.05)
    id = puppets.begun()
    with listening(events_of(serve(puppets), id)) as stream:
        assert [event.comment for event in (next(stream) for stream in [iter(stream)] for _ in range(4))][2:] == [
            "still here"
        ] * 2


def test_a_stream_ends_after_a_while_so_that_its_client_says_again_who_it_is(puppets, serve, monkeypatch):
    monkeypatch.setattr("stoker.web.streams._LIFE", 0.2)
    site = serve(puppets)
    id = puppets.begun()
    with listening(events_of(site, id)) as stream:
        [first] = [event for event in stream.events() if event.data]
        assert first.name == "progress"
    site.await_quiet()
    puppets.end(id)
    with listening(events_of(site, id)) as stream:
        assert [event.name for event in stream.events() if event.data] == ["completed"]


def test_streams_outlive_the_store(puppets, site, monkeypatch):
    id = puppets.begun()
    engine = puppets.app.engine
    real = engine.arun

    async def down(plan: Any) -> Any:
        raise StoreUnavailable("no route to it")

    with listening(events_of(site, id)) as stream:
        said = (event for event in stream if event.data is not None or event.comment)
        next(said)
        monkeypatch.setattr(engine, "arun", down)
        assert "cannot be reached" in next(said).comment
        refused = get(events_of(site, id))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["type"] == "urn:stoker:store-unavailable"
        puppets.end(id)
        monkeypatch.setattr(engine, "arun", real)
        assert next(said).name == "completed"


def test_head_answers_without_a_stream(puppets, site):
    id = puppets.begun()
    answer = httpx.head(events_of(site, id), headers={"x-user": "root"}, timeout=PATIENCE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    assert httpx.head(events_of(site, "nothing"), headers={"x-user": "root"}, timeout=PATIENCE).status_code == 404


# --- who may follow --------------------------------------------------------------------------------------------------


def test_a_foreign_job_is_not_there(puppets, site):
    id = puppets.begun(owner="anna")
    foreign, unknown = get(events_of(site, id), "berta"), get(events_of(site, "unknown"), "berta")
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.text.replace(id, "unknown") == unknown.text
    assert get(events_of(site, id), None).status_code == 401


def test_a_token_follows_its_one_job_from_any_page(puppets, site):
    id, other = puppets.begun(owner="anna"), puppets.begun(owner="anna")
    token = puppets.app.jobs.handle(id).token()
    puppets.end(id, verdict=Verdict.FAILED)
    answer = get(events_of(site, id, token=token), None)
    assert answer.headers["access-control-allow-origin"] == "*"
    record = json.loads(answer.text.split("data: ")[1])
    assert record["state"] == "failed"
    assert "secret" not in answer.text, "tracebacks are for admins"
    assert get(events_of(site, other, token=token), None).status_code == 404
    assert "access-control-allow-origin" not in get(events_of(site, id), "anna").headers


def test_expired_and_changed_tokens_are_refused(puppets, site, monkeypatch):
    id = puppets.begun()
    secret = puppets.app.engine.play(puppets.app.engine.secret())
    with monkeypatch.context() as past:
        past.setattr("stoker.clock.now", lambda: 0)
        expired = tokens.sign(secret, id, timedelta(seconds=1))
    good = puppets.app.jobs.handle(id).token()
    body, _, signature = good.rpartition(".")
    # The last character of a signature has bits that do not count: to change it may change nothing.
    changed = f"{body}.{'x' if signature[0] != 'x' else 'y'}{signature[1:]}"
    for token, words in ((expired, "expired"), (changed, "changed")):
        answer = get(events_of(site, id, token=token), None)
        assert answer.status_code == 401
        assert words in answer.json()["detail"]
        assert answer.headers["access-control-allow-origin"] == "*", "the page is to be able to tell its visitor"


# --- limits, and the ends of connections ------------------------------------------------------------------------------


def test_too_many_streams_are_refused_until_one_ends(puppets, serve):
    site = serve(puppets, max_streams=1)
    id, other = puppets.begun(), puppets.begun()
    with listening(events_of(site, id)) as stream:
        next(stream.events())
        refused = get(events_of(site, other))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["type"] == "urn:stoker:too-many-streams"
    site.await_quiet()
    with listening(events_of(site, other)) as stream:
        assert next(stream.events()).data["id"] == other


def test_who_goes_away_is_noticed(puppets, site):
    id = puppets.begun()
    with listening(events_of(site, id)) as stream:
        next(stream.events())
        assert site.hub._watchers
    site.await_quiet()
    assert not site.hub._watchers


def test_a_server_that_stops_ends_its_streams(puppets, serve):
    site = serve(puppets)
    with listening(events_of(site, puppets.begun())) as stream:
        told = stream.events()
        next(told)
        stopping = threading.Thread(target=site.stop)
        stopping.start()
        assert list(told) == []
        stopping.join(PATIENCE)


APP = """
from stoker import Stoker
from stoker.web import create
app = Stoker("memory://", mode="queue")
task = app.task(name="t")(lambda: None)
print(task.using(delay=3600).enqueue().id, flush=True)
web = create(app)
"""


def test_plain_uvicorn_ends_although_streams_are_open(tmp_path):
    """It waits for open answers before it tells the application: streams that did not notice would hold it for ever."""
    (tmp_path / "served.py").write_text(APP)
    command = [sys.executable, "-m", "uvicorn", "served:web", "--port", "0", "--no-access-log"]
    server = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        id = server.stdout.readline().strip()
        running = next(line for line in server.stderr if "running on" in line)
        url = running.split("running on ")[1].split(" ")[0]
        with listening(f"{url}/jobs/{id}/events", None) as stream:
            told = stream.events()
            next(told)
            server.send_signal(signal.SIGTERM)
            assert list(told) == []
        server.communicate(timeout=PATIENCE)
    finally:
        if server.poll() is None:
            server.kill()
            server.communicate()


def test_nothing_is_lost_behind_a_proxy_that_holds_everything_up(puppets, site):
    id = puppets.begun()
    with buffering_proxy(site.url) as url:
        names: list[str | None] = []

        def follow() -> None:
            with listening(events_of(url, id)) as stream:
                names.extend(event.name for event in stream.events())

        following = threading.Thread(target=follow)
        following.start()
        with listening(events_of(site, id)) as beside:
            told = beside.events()
            next(told)
            puppets.progress(id, 0.5)
            next(told)
            assert names == []
            puppets.end(id)
            assert next(told).name == "completed"
        following.join(PATIENCE)
    assert names[-1] == "completed"


# --- WebSockets ------------------------------------------------------------------------------------------------------


def socket_of(site: Site, id: str, **query: str) -> str:
    return str(httpx.URL(f"{site.url}/jobs/{id}/ws", params=query)).replace("http:", "ws:")


def opened(url: str, user: str | None = "root", **headers: str) -> Any:
    said = {"x-user": user} if user is not None else {}
    return connect(url, additional_headers=said | headers, open_timeout=PATIENCE)


def test_a_websocket_tells_the_same_and_closes(each_store, serve):
    puppets = each_store
    site = serve(puppets)
    id = puppets.begun(owner="anna")
    with opened(socket_of(site, id), "anna") as socket:
        assert json.loads(socket.recv(PATIENCE))["event"] == "progress"
        socket.send("what a client says does not matter")
        puppets.progress(id, 0.5)
        told = json.loads(socket.recv(PATIENCE))
        assert (told["event"], told["data"]["progress"]) == ("progress", 0.5)
        puppets.end(id)
        last = json.loads(socket.recv(PATIENCE))
        assert last == {"event": "completed", "data": get(f"{site.url}/jobs/{id}", "anna").json()}
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
        assert closed.value.rcvd.code == 1000


def close_code(socket: Any) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.recv(PATIENCE)
    return closed.value.rcvd.code


def test_a_websocket_of_a_foreign_job_is_closed(puppets, site):
    id = puppets.begun(owner="anna")
    for there in (id, "unknown", "\N{SNOWMAN}" * 100):
        with opened(socket_of(site, there), "berta") as socket:
            assert close_code(socket) == 4404
    with pytest.raises(InvalidStatus):
        opened(socket_of(site, id), None)


def test_a_websocket_of_another_origin_is_refused(puppets, site):
    with pytest.raises(InvalidStatus) as refused:
        opened(socket_of(site, puppets.begun()), Origin="https://evil.example")
    assert refused.value.response.status_code == 403


def test_a_websocket_of_a_deleted_job_says_so(puppets, site):
    id = puppets.enqueue()
    with opened(socket_of(site, id)) as socket:
        json.loads(socket.recv(PATIENCE))
        puppets.app.jobs.delete(id)
        while (told := json.loads(socket.recv(PATIENCE)))["event"] == "progress":
            pass
        assert told == {"event": "gone", "data": {"id": id}}
        assert close_code(socket) == 1000


def test_too_many_websockets_are_refused(puppets, serve):
    site = serve(puppets, max_streams=1)
    id = puppets.begun()
    with listening(events_of(site, id)) as stream:
        next(stream.events())
        with opened(socket_of(site, id)) as socket:
            assert close_code(socket) == 4503


def test_a_websocket_of_a_server_that_stops_is_closed(puppets, serve):
    site = serve(puppets)
    with opened(socket_of(site, puppets.begun())) as socket:
        socket.recv(PATIENCE)
        stopping = threading.Thread(target=site.stop)
        stopping.start()
        assert close_code(socket) in {1001, 1012}
        stopping.join(PATIENCE)


def test_a_websocket_that_goes_away_is_noticed(puppets, site):
    with opened(socket_of(site, puppets.begun())) as socket:
        socket.recv(PATIENCE)
        assert site.hub._watchers
    site.await_quiet()
    assert not site.hub._watchers
