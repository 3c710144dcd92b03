"""The gate: who may come in, from where, and how often."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from stoker import clock
from stoker.errors import ConfigError, StokerError, StoreUnavailable
from stoker.job import State
from stoker.web import Identity, create
from stoker.web.nearby import is_loopback

pytestmark = pytest.mark.asyncio

JOB = {"task": "add", "args": [1]}


def client(site: Any, host: str = "127.0.0.1", **options: Any) -> httpx.AsyncClient:
    """Of a server that is at `testserver`, from that address."""
    web = create(site.app, **options)
    transport = httpx.ASGITransport(web, raise_app_exceptions=False, client=(host, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


async def test_who_is_nobody_gets_nothing(memory_site: Any) -> None:
    job = await memory_site.enqueue()
    nobody = memory_site.by(None)
    for method, path in (
        *(("GET", "/jobs"), ("GET", f"/jobs/{job.id}"), ("GET", "/queues"), ("GET", "/openapi.json"), ("GET", "/")),
        *(("POST", "/jobs"), ("POST", f"/jobs/{job.id}/cancel"), ("GET", "/nothing"), ("GET", "/metrics")),
    ):
        said = await nobody.request(method, path)
        assert (said.status_code, said.headers["www-authenticate"]) == (401, "Bearer"), path
    for path in ("/health/live", "/health/ready"):
        said = await nobody.get(path)
        assert (said.status_code, said.json()) == (200, {"status": "ok"})


# --- identify ---------------------------------------------------------------------------------------------------------


async def test_identify_may_be_async(memory_site: Any) -> None:
    async def identify(_: Any) -> Identity:
        return Identity("ann")

    assert (await client(memory_site, identify=identify).get("/jobs")).status_code == 200


def broken(_: Any) -> Any:
    raise RuntimeError("CANARY")


def unmade(_: Any) -> Any:
    return Identity(None)


@pytest.mark.parametrize("identify", [broken, unmade, lambda _: "ann", lambda _: {"owner": "ann"}, lambda _: True])
async def test_an_identify_that_goes_wrong_lets_nobody_in(memory_site: Any, identify: Any) -> None:
    said = await client(memory_site, identify=identify).get("/jobs")
    assert (said.status_code, said.json()["type"]) == (500, "urn:stoker:internal-error")
    assert said.headers["x-content-type-options"] == "nosniff"
    assert "CANARY" not in said.text
    assert "ann" not in said.text


async def test_an_identify_whose_own_database_is_down_is_not_our_caller(memory_site: Any) -> None:
    def identify(_: Any) -> Any:
        raise StoreUnavailable("down")

    said = await client(memory_site, identify=identify).get("/jobs")
    assert (said.status_code, said.headers["retry-after"]) == (503, "2")


async def test_what_identify_cannot_be() -> None:
    with pytest.raises(ConfigError, match="must be admin"):
        Identity(None)
    with pytest.raises(ConfigError, match="must be admin"):
        Identity("")
    with pytest.raises(ConfigError, match="is a text, not 5"):
        Identity(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a\x00", "\ud800"])
async def test_names_that_no_store_could_hold(site: Any, name: str) -> None:
    site.serve(identify=lambda _: Identity(name))
    for method, path in (("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/stats"), ("GET", "/ui/jobs")):
        assert (await site.ann.request(method, path, json={"task": "add", "args": [1]})).status_code == 403


# --- without identify: this machine only ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.9.9.9", "::ffff:127.0.0.1"])
async def test_this_machine_is_let_in(memory_site: Any, host: str) -> None:
    assert (await client(memory_site, host).get("/workers")).status_code == 200


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.2", "2001:db8::1", "::ffff:10.0.0.1", "0.0.0.0"])
async def test_others_are_not(memory_site: Any, host: str) -> None:
    said = await client(memory_site, host).get("/jobs")
    assert (said.status_code, said.json()["type"]) == (403, "urn:stoker:closed")


@pytest.mark.parametrize(("address", "status"), [("10.0.0.1", 403), ("127.0.0.1", 200)])
async def test_an_address_that_only_the_wsgi_server_told(memory_site: Any, address: str, status: int) -> None:
    inner = create(memory_site.app)

    async def bridged(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "client": None, "wsgi_environ": {"REMOTE_ADDR": address}}, receive, send)

    transport = httpx.ASGITransport(bridged)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
        assert (await web.get("/workers")).status_code == status


@pytest.mark.parametrize(
    "name",
    ["forwarded", "x-forwarded-for", "x-real-ip", "via", "x-forwarded-host", "x-forwarded-proto", "X-FORWARDED-FOR"],
)
async def test_nor_who_comes_through_a_proxy(memory_site: Any, name: str) -> None:
    said = await client(memory_site).get("/jobs", headers={name: "127.0.0.1"})
    assert (said.status_code, said.json()["type"]) == (403, "urn:stoker:closed")


@pytest.mark.parametrize(("version", "status"), [("1.0", 403), ("1.1", 200), ("2", 200)])
async def test_nor_who_comes_through_a_proxy_that_does_not_say_so(memory_site: Any, version: str, status: int) -> None:
    """As nginx asks where nothing but `proxy_pass http://127.0.0.1:8440;` was written: by the name of this machine."""
    web = create(memory_site.app)

    async def proxied(scope: Any, receive: Any, send: Any) -> None:
        await web({**scope, "http_version": version}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(proxied), base_url="http://127.0.0.1:8440") as asking:
        assert (await asking.get("/workers")).status_code == status


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8440", "127.0.0.1.evil.example", "10.0.0.1", "[2001:db8::1]:80"]
)
async def test_nor_who_takes_this_machine_for_another(memory_site: Any, host: str) -> None:
    """A page of another site whose name was made to point here."""
    said = await client(memory_site).get("/jobs", headers={"host": host})
    assert (said.status_code, said.json()["type"]) == (403, "urn:stoker:closed")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8440", "127.0.0.1:1", "[::1]:8440", "[::1]", "stoker", "app.localhost:80"]
)
async def test_names_of_this_machine(memory_site: Any, host: str) -> None:
    assert (await client(memory_site).get("/jobs", headers={"host": host})).status_code == 200


# --- whose page asks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"origin": "http://testserver"}, 202),
        ({"origin": "HTTP://TESTSERVER"}, 202),
        ({"origin": "https://front.example"}, 202),
        ({"origin": "https://FRONT.example"}, 202),
        ({"origin": "http://front.example"}, 403),
        ({"origin": "https://front.example.evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "testserver"}, 403),
        ({"sec-fetch-site": "same-origin"}, 202),
        ({"sec-fetch-site": "none"}, 202),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://jobs.example", "x-forwarded-host": "jobs.example"}, 202),
        ({"origin": "https://jobs.example", "x-forwarded-host": "Jobs.example, inner.example"}, 202),
        ({"origin": "https://jobs.example", "x-forwarded-host": "jobs.example:443,inner.example"}, 202),
        ({"origin": "https://inner.example", "x-forwarded-host": "jobs.example, inner.example"}, 403),
        ({"origin": "https://jobs.example", "host": "jobs.example:443"}, 202),
        ({"origin": "http://jobs.example", "host": "jobs.example:80"}, 202),
        ({"origin": "https://jobs.example:443", "host": "jobs.example"}, 202),
        ({"origin": "http://[::1]", "host": "[::1]:80"}, 202),
        ({"origin": "http://jobs.example", "host": "jobs.example:443"}, 403),
        ({"origin": "https://jobs.example", "host": "jobs.example:80"}, 403),
        ({"origin": "https://jobs.example:8443", "host": "jobs.example:8443"}, 202),
        ({"origin": "https://jobs.example", "host": "jobs.example:8443"}, 403),
        ({"origin": "https://", "x-forwarded-host": ":443, inner.example"}, 403),
        ({"origin": "https://other.example"}, 202),
    ],
    ids=str,
)
async def test_only_pages_of_known_origins_change_things(memory_site: Any, headers: Any, status: int) -> None:
    memory_site.serve(origins=["https://front.example/", "https://other.example:443"])
    said = await memory_site.ann.post("/jobs", json=JOB, headers=headers)
    assert said.status_code == status, said.text
    assert (await memory_site.ann.get("/jobs", headers=headers)).status_code == 200


# --- how often, and whether at all ------------------------------------------------------------------------------------


async def test_everybody_has_a_rate_of_their_own(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    memory_site.serve(rate="3/m")
    for _ in range(3):
        assert (await memory_site.ann.post("/jobs", json=JOB)).status_code == 202
    said = await memory_site.ann.post("/jobs", json=JOB)
    assert (said.status_code, said.headers["retry-after"], said.json()["type"]) == (
        429,
        "20",
        "urn:stoker:too-many-requests",
    )
    assert (await memory_site.bob.post("/jobs", json=JOB)).status_code == 202
    assert (await memory_site.ann.get("/jobs")).status_code == 200, "reading is not counted"
    now += 19.9
    assert (await memory_site.ann.post("/jobs", json=JOB)).headers["retry-after"] == "1"
    now += 0.2
    assert (await memory_site.ann.post("/jobs", json=JOB)).status_code == 202
    assert (await memory_site.ann.post("/jobs", json=JOB)).status_code == 429


async def test_a_read_only_server_changes_nothing(memory_site: Any) -> None:
    job = await memory_site.enqueue()
    memory_site.serve(read_only=True)
    for who in ("ann", "root"):
        for method, path in (
            *(("POST", "/jobs"), ("POST", f"/jobs/{job.id}/cancel"), ("POST", "/jobs/delete"), ("POST", "/schedules")),
            *(("POST", "/queues/default/pause"), ("DELETE", "/schedules/x"), ("POST", "/workers/w/stop")),
        ):
            said = await memory_site.by(who).request(method, path, json={})
            assert (said.status_code, said.json()["type"]) == (403, "urn:stoker:read-only"), path
        assert (await memory_site.by(who).get("/jobs")).json()["jobs"][0]["id"] == job.id
    assert (await memory_site.app.jobs.aget(job.id)).state is State.QUEUED


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", ["", "x", "a.b.c", "é", "💥", "\x00", "%", "x" * 10_000, "bnVsbA.x"])
async def test_texts_that_are_no_tokens(memory_site: Any, spoil: str) -> None:
    job = await memory_site.enqueue()
    said = await memory_site.by(None).get(f"/jobs/{job.id}", params={"token": spoil})
    assert said.status_code == 401
    said = await memory_site.by(None).get(f"/jobs/{job.id}", headers={"authorization": b"Bearer " + spoil.encode()})
    assert said.status_code == 401


async def test_a_token_that_was_changed(memory_site: Any) -> None:
    job = await memory_site.enqueue()
    token = await memory_site.app.jobs.handle(job.id).atoken()
    body, _, signature = token.rpartition(".")
    for other in (f"{body[:-1]}x.{signature}", f"{body}.{signature[::-1]}", token[:-1], f"{token}x", f" {token}x"):
        said = await memory_site.by(None).get(f"/jobs/{job.id}", params={"token": other})
        assert (said.status_code, said.json()["type"]) == (401, "urn:stoker:invalid-token")


async def test_a_token_that_has_expired(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await memory_site.enqueue()
    token = await memory_site.app.jobs.handle(job.id).atoken(60)
    started = clock.now()
    monkeypatch.setattr(clock, "now", lambda: started + 61 * clock.SECOND)
    said = await memory_site.by(None).get(f"/jobs/{job.id}", params={"token": token})
    assert (said.status_code, said.json()["detail"]) == (401, "the token has expired; ask for another")


async def test_a_token_of_another_app(memory_site: Any) -> None:
    job = await memory_site.enqueue()
    from stoker import tokens

    said = await memory_site.by(None).get(
        f"/jobs/{job.id}", params={"token": tokens.sign("another secret", job.id, 60)}
    )
    assert said.status_code == 401


async def test_who_says_who_they_are_may_have_a_bearer_of_another_kind(memory_site: Any) -> None:
    headers = {"authorization": "Bearer of.the.app"}
    assert (await memory_site.ann.get("/jobs", headers=headers)).status_code == 200
    assert (await memory_site.ann.post("/jobs", json=JOB, headers=headers)).status_code == 202


async def test_the_secret_is_asked_for_once(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await memory_site.enqueue()
    token = await memory_site.app.jobs.handle(job.id).atoken()
    asked = []
    store = memory_site.app.engine.connection.store
    monkeypatch.setattr(store, "keep", lambda *args: asked.append(args))
    for _ in range(3):
        assert (await memory_site.by(None).get(f"/jobs/{job.id}", params={"token": token})).status_code == 200
    assert asked == []


# --- what every answer says -------------------------------------------------------------------------------------------


async def test_headers(memory_site: Any) -> None:
    for who, path in (("ann", "/jobs"), ("ann", "/nothing"), ("ann", "/jobs/nothing"), (None, "/health/live")):
        said = await memory_site.by(who).get(path)
        assert said.headers["x-content-type-options"] == "nosniff", path
        assert said.headers["referrer-policy"] == "no-referrer", path
        assert said.headers["cache-control"] == "no-store", path
        assert "access-control-allow-origin" not in said.headers, path


async def test_refusals_say_the_same(memory_site: Any) -> None:
    memory_site.serve(rate="1/m")
    assert (await memory_site.ann.post("/jobs", json=JOB)).status_code == 202
    refusals = [
        (401, await memory_site.by(None).get("/jobs")),
        (401, await memory_site.by(None).get("/jobs", params={"token": "none"})),
        (403, await memory_site.bob.post("/jobs", json=JOB, headers={"origin": "https://evil.example"})),
        (429, await memory_site.ann.post("/jobs", json=JOB)),
        (403, await client(memory_site, "10.0.0.1").get("/jobs")),
        (403, await client(memory_site, "10.0.0.1").get("/", headers={"accept": "text/html"})),
    ]
    for status, said in refusals:
        assert said.status_code == status, said.url
        page = said.headers["content-type"].startswith("text/html")
        assert said.headers.get_list("x-content-type-options") == ["nosniff"], said.url
        assert said.headers.get_list("referrer-policy") == ["same-origin" if page else "no-referrer"], said.url
        assert said.headers.get_list("cross-origin-resource-policy") == ["same-site"], said.url
        assert said.headers["cache-control"] == "no-store", said.url
    assert [said.headers.get_list("access-control-allow-origin") for _, said in refusals] == [[], ["*"], [], [], [], []]


@pytest.mark.parametrize(
    ("address", "here"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True)),
        *(("0.0.0.0", False), ("::", False), ("::ffff:10.0.0.1", False), ("10.0.0.1", False), ("", False)),
    ],
)
async def test_addresses_that_only_this_machine_reaches(address: str, here: bool) -> None:
    assert is_loopback(address) is here


async def test_under_a_path(memory_site: Any) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    inner = memory_site.web
    memory_site.web = Starlette(routes=[Mount("/deep/jobs", inner)])
    memory_site._known.clear()
    said = await memory_site.ann.post("/deep/jobs/jobs", json=JOB)
    assert said.headers["location"] == f"/deep/jobs/jobs/{said.json()['id']}"
    assert (await memory_site.ann.get(said.headers["location"])).status_code == 200
    assert (await memory_site.by(None).get("/deep/jobs/health/live")).status_code == 200
    assert (await memory_site.by(None).get("/deep/jobs/jobs")).status_code == 401
    assert (await memory_site.ann.get("/deep/jobs/openapi.json")).json()["servers"] == [{"url": "/deep/jobs"}]


async def test_a_client_that_goes_away_is_no_failure_of_the_server(memory_site: Any) -> None:
    messages = [{"type": "http.request", "body": b'{"task"', "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/jobs",
        "raw_path": b"/jobs",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"testserver"), (b"x-user", b"ann"), (b"content-type", b"application/json")],
    }
    await memory_site.web(scope, receive, send)
    assert sent[0]["status"] == 400


async def test_every_error_of_ours_has_an_answer() -> None:
    """None that a request can cause is a 500."""
    from stoker import errors
    from stoker.web.problem import problem_of

    of_the_server = {"StokerError", "ConfigError", "MissingExtra", "JobFailed", "JobCancelled", "WorkflowSealed"}
    of_the_server |= {"LockTaken", "LockLost", "InvalidToken"}
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, StokerError):
            error = kind.__new__(kind, "x")
            assert (problem_of(error).status == 500) == (name in of_the_server), name
