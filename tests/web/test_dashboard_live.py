"""Pages that change while somebody looks at them, over real connections."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from stoker import Stoker
from stoker.errors import StoreUnavailable
from stoker.web import Identity, event_stream
from stoker.web.dashboard import live
from stoker.web.problem import Problem
from stoker.web.stream_limit import StreamLimit
from web.live import PATIENCE, Puppets, Site, listening


@pytest.fixture
def puppets() -> Iterator[Puppets]:
    app = Stoker("memory://", mode="queue")
    yield Puppets(app)
    app.close()


@pytest.fixture
def site(puppets: Puppets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(live, "PAUSE", 0.02)
    webs: list[Any] = []
    made = Site(puppets.app, around=lambda web: webs.append(web) or web).start()
    made.live = next(route.endpoint.__self__ for route in webs[0].routes if route.path == "/ui/live")  # type: ignore[attr-defined]
    yield made
    made.stop()


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def watch(site: Site, page: str, user: str = "root") -> Any:
    return listening(f"{site.url}/ui/live?page={page}", user)


def until(events: Iterator[Any], wanted: Callable[[Any], bool]) -> Any:
    """The first event that is what is waited for."""
    return next(event for event in events if wanted(event))


def test_a_page_is_sent_whole_and_then_what_changes_in_it(puppets: Puppets, site: Site) -> None:
    id = puppets.begun()
    with watch(site, f"ui/jobs/{id}") as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["x-accel-buffering"] == "no"
        events = stream.events()
        first = next(events)
        assert first.name == "blocks"
        assert {"head", "timeline", "attempts", "result", "facts"} <= first.data.keys()
        assert "processing" in text_of(first.data["head"])
        puppets.progress(id, 0.25, "a quarter <b>done</b>")
        news = until(events, lambda event: "quarter" in event.data.get("head", ""))
        assert "a quarter &lt;b&gt;done&lt;/b&gt;" in news.data["head"]
        assert "25 %" in text_of(news.data["head"])
        puppets.end(id, result='"it is there"')
        last = until(events, lambda event: "completed" in event.data.get("head", ""))
        assert "it is there" in last.data["result"]


def test_what_does_not_change_is_not_sent_again(puppets: Puppets, site: Site) -> None:
    id = puppets.begun()
    with watch(site, "ui/jobs") as stream:
        events = stream.events()
        assert next(events).data.keys() == {"states", "jobs"}
        puppets.progress(id, 0.5)
        assert until(events, lambda event: "50 %" in text_of(event.data.get("jobs", ""))).data.keys() == {"jobs"}


def test_a_page_is_made_once_for_all_who_look_at_it(puppets: Puppets, site: Site) -> None:
    puppets.begun()
    looks = []
    made: Any = site.live  # type: ignore[attr-defined]
    real = made._look

    async def look(reach: Any, page: str) -> Any:
        looks.append((reach.who.name, page))
        return await real(reach, page)

    made._look = look
    with watch(site, "ui/jobs") as one, watch(site, "ui/jobs") as two, watch(site, "ui/jobs", "ann") as other:
        for stream in (one, two, other):
            next(stream.events())
        showings = made._showings
        assert sorted((key[1].name, showing._viewers) for key, showing in showings.items()) == [("ann", 1), ("root", 2)]
        assert {who for who, _ in looks} == {"root", "ann"}

    async def deserted() -> None:
        while made._showings:
            await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(asyncio.wait_for(deserted(), PATIENCE), site.loop).result(PATIENCE)


def test_a_page_shows_what_its_own_identity_reaches(puppets: Puppets, site: Site) -> None:
    theirs = puppets.begun(owner="bob")
    with watch(site, f"ui/jobs/{theirs}", "ann") as stream:
        event = next(stream.events())
        assert (event.name, event.data["status"]) == ("trouble", 404)
    with watch(site, "ui/jobs?owner=bob", "ann") as stream:
        assert theirs not in str(next(stream.events()).data)
    with watch(site, "ui/queues", "ann") as stream:
        assert next(stream.events()).data["status"] == 403
    for page in ("ui/nothing", "static/dashboard.css", "../jobs"):
        with watch(site, page) as stream:
            assert next(stream.events()).data["status"] == 404


def test_who_looks_is_told_that_the_store_is_down_and_when_it_is_back(puppets: Puppets, site: Site) -> None:
    id = puppets.begun()
    driver: Any = puppets.app.engine.connection.driver
    real = driver.run
    down = threading.Event()

    def run(plan: Any) -> Any:
        if down.is_set():
            raise StoreUnavailable("no route to 10.0.0.7")
        return real(plan)

    driver.run = run
    with watch(site, f"ui/jobs/{id}") as stream:
        events = stream.events()
        assert next(events).name == "blocks"
        down.set()
        told = until(events, lambda event: event.name == "trouble")
        assert told.data == {
            "status": 503,
            "detail": "the store of jobs cannot be reached now; nothing is lost, ask again",
        }
        down.clear()
        assert until(events, lambda event: event.name == "blocks")


def test_a_stream_ends_now_and_then_so_that_who_signed_out_sees_no_more(
    puppets: Puppets, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_LIFE", 0.0)
    puppets.begun()
    with watch(site, "ui/jobs") as stream:
        assert [event.name for event in stream.events()] == ["again"]


def test_streams_end_with_the_server(puppets: Puppets, site: Site) -> None:
    puppets.begun()
    with watch(site, "ui/jobs") as stream:
        events = stream.events()
        next(events)
        site.stop()
        assert [event.name for event in events if event.name != "blocks"] == []


def test_too_many_pages_are_refused(puppets: Puppets, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_MOST", 1)
    with watch(site, "ui/jobs") as stream:
        next(stream.events())
        answer = httpx.get(
            f"{site.url}/ui/live?page=ui/jobs?state=failed", headers={"x-user": "root"}, timeout=PATIENCE
        )
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "10"
        with watch(site, "ui/jobs") as another:
            next(another.events())
    answer = httpx.get(f"{site.url}/ui/live", params={"page": "x" * 5000}, headers={"x-user": "root"}, timeout=PATIENCE)
    assert answer.status_code == 422


@pytest.mark.asyncio
async def test_relative_times_are_no_news() -> None:
    html = '<p><time class="ago" data-ago datetime="x" title="y">{} s ago</time> {}</p>'
    turns = iter([(1, "a"), (2, "a"), (3, "b")])

    async def look() -> dict[str, str]:
        turn = next(turns, None)
        if turn is None:
            await asyncio.Event().wait()
        assert turn is not None
        return {"times": html.format(*turn)}

    showing = live._Showing(look)
    showing._rest = lambda _: asyncio.sleep(0)  # type: ignore[method-assign,assignment]
    with showing.watched():
        told = showing.changes()
        assert (await anext(told))[1]["times"].endswith("a</p>")
        assert (await anext(told))[1]["times"].endswith("b</p>")
        await told.aclose()  # type: ignore[attr-defined]


# --- how many, and who is given up ------------------------------------------------------------------------------------


class Viewers:
    """Requests for live pages without a server between: the test decides who takes in what is sent."""

    def __init__(self, most: int = 100) -> None:
        self.live = live.Live(self._look, StreamLimit(most))

    async def _look(self, *_: Any) -> dict[str, str]:
        return {"all": "<p>it is there</p>"}

    async def ask(self, owner: str, page: str, send: Any, gone: asyncio.Event | None = None) -> None:
        async def receive() -> Any:
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "GET", "path": "/ui/live", "query_string": f"page={page}".encode()}
        request = Request({**scope, "headers": [], "state": {"reach": SimpleNamespace(who=Identity(owner))}})
        response = await self.live.stream(request)
        await asyncio.sleep(0)  # others ask meanwhile
        await response(request.scope, receive, send)

    async def refused(self, *asked: tuple[str, str]) -> list[tuple[str, str]]:
        """Which of these pages are refused where all are asked for at once, and all who are not refused stay."""
        refused: list[tuple[str, str]] = []
        begun = [asyncio.Event() for _ in asked]

        async def watch(number: int) -> None:
            async def send(message: Any) -> None:
                if message["type"] == "http.response.body":
                    begun[number].set()

            try:
                await self.ask(*asked[number], send)
            except Problem as problem:
                assert problem.type == "too-many-streams"
                refused.append(asked[number])
                begun[number].set()

        tasks = [asyncio.ensure_future(watch(number)) for number in range(len(asked))]
        async with asyncio.timeout(PATIENCE):
            for event in begun:
                await event.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not self.live._showings
        return refused


@pytest.mark.asyncio
async def test_no_identity_takes_the_live_pages_of_all_also_not_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_MOST_OF_ONE", 2)
    viewers = Viewers()
    pages = [("ann", "ui/jobs"), ("ann", "ui/queues"), ("ann", "ui/audit"), ("ann", "ui/jobs"), ("bob", "ui/audit")]
    assert await viewers.refused(*pages) == [("ann", "ui/audit")]
    assert await viewers.refused(("ann", "ui/audit")) == []


@pytest.mark.asyncio
async def test_who_looks_at_the_same_page_counts_as_well() -> None:
    viewers = Viewers(most=2)
    assert len(await viewers.refused(*[("ann", "ui/jobs")] * 5)) == 3
    assert await viewers.refused(*[("ann", "ui/jobs")] * 2) == []


def test_streams_of_jobs_and_of_pages_are_counted_together(puppets: Puppets) -> None:
    site = Site(puppets.app, max_streams=2).start()
    try:
        id = puppets.begun()
        addresses = [f"{site.url}/ui/live?page=ui/jobs", f"{site.url}/jobs/{id}/events"]
        with listening(addresses[0]) as page, listening(addresses[1]) as job:
            next(page.events())
            next(job.events())
            for address in addresses:
                answer = httpx.get(address, headers={"x-user": "root"}, timeout=PATIENCE)
                assert (answer.status_code, answer.json()["type"]) == (503, "urn:stoker:too-many-streams")
    finally:
        site.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("taken", [0, 1], ids=["nothing", "the-head"])
async def test_who_takes_nothing_in_is_given_up(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(event_stream, "STALLED", 0.01)
    viewers = Viewers()
    parts: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            if len(parts) == taken:
                await asyncio.Event().wait()
            parts.append(message["body"])

    async with asyncio.timeout(PATIENCE):
        await viewers.ask("ann", "ui/jobs", send)
    assert len(parts) == taken
    assert not viewers.live._showings


@pytest.mark.asyncio
async def test_who_goes_away_is_noticed_while_nothing_changes() -> None:
    viewers = Viewers()
    gone = asyncio.Event()

    async def send(message: Any) -> None:
        if b"it is there" in message.get("body", b""):
            gone.set()

    async with asyncio.timeout(PATIENCE):
        await viewers.ask("ann", "ui/jobs", send, gone)
    assert not viewers.live._showings


def test_head_answers_without_a_stream(puppets: Puppets, site: Site) -> None:
    answer = httpx.head(f"{site.url}/ui/live?page=ui/jobs", headers={"x-user": "root"}, timeout=PATIENCE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
