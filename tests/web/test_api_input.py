"""What is wrong with a request is said by the answer; nothing of it is the server's fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.asyncio

JSON = {"content-type": "application/json"}
UNKNOWN = "01890000-0000-7000-8000-000000000000"
IDS = ["nothing", "0", "a b", "%00", "a%00b", "%FF", "%ED%A0%80", "é", "'; drop table jobs; --", "x" * 5000, "💥"]


def problem(said: Any, *statuses: int) -> Any:
    assert said.status_code in statuses, (said.status_code, said.text[:500])
    assert said.headers["content-type"] == "application/problem+json"
    body = said.json()
    assert body["status"] == said.status_code
    assert body["type"].startswith("urn:stoker:")
    assert 0 < len(body["detail"]) < 2100
    return body


def quoted(id: str) -> str:
    return id if id.startswith("%") or "%00" in id else quote(id, safe="")


@pytest.mark.parametrize("id", IDS, ids=lambda id: id[:12])
async def test_ids_that_name_nothing(site: Any, id: str) -> None:
    for who in ("ann", "root"):
        client = site.by(who)
        for path in ("/jobs/{}", "/jobs/{}/logs", "/jobs/{}/events", "/workflows/{}", "/schedules/{}"):
            statuses = (404,) if who == "root" or not path.startswith("/schedules") else (403,)
            problem(await client.get(path.format(quoted(id))), *statuses)
        for path in (
            *("/jobs/{}/cancel", "/jobs/{}/retry", "/jobs/{}/token", "/workflows/{}/cancel", "/workflows/{}/retry"),
            *(
                "/schedules/{}/pause",
                "/schedules/{}/resume",
                "/schedules/{}/run",
                "/workers/{}/quiet",
                "/workers/{}/stop",
            ),
        ):
            problem(await client.post(path.format(quoted(id))), 404, *(() if who == "root" else (403,)))
    said = await site.admin.post(f"/workflows/{UNKNOWN}/retry", json={"step": id})
    problem(said, 404)


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=501", "limit=-1", "limit=abc", "limit=1.5", "limit=00000015000", "limit=" + "9" * 5000),
        *(
            "limit=",
            "older_than=",
            "limit=²",
            "state=gone",
            "state=queued,gone",
            "state=queued,,failed",
            "nonsense=1",
            "queue=%00",
            "before=%00",
            "text=a%00",
        ),
        *("older_than=-1", "older_than=nan", "older_than=inf", "older_than=x", "older_than=1e400"),
    ],
    ids=lambda query: query[:20],
)
async def test_queries_that_are_wrong(site: Any, query: str) -> None:
    problem(await site.ann.get(f"/jobs?{query}"), 422)


@pytest.mark.parametrize(
    "query", ["before=x", "before=%F0%9F%92%A5", "queue=%FF", "text=%25_%27%22%5C", "limit=0001", "key=x", "tag="]
)
async def test_queries_that_find_nothing(site: Any, query: str) -> None:
    await site.enqueue()
    said = await site.ann.get(f"/jobs?{query}")
    assert said.status_code == 200, said.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"nonsense", 400),
        (b'{"task": "add", "args": [NaN]}', 400),
        (b'{"task": "add", "args": [1]} x', 400),
        (b"\xff\xfe", 400),
        (b'{"task": "echo", "args": ["\xff"]}', 400),
        (b'{"task": "echo", "args": ["\\ud800"]}', 400),
        (b'{"task": "\\ud800"}', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b"[" * 200_000, 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (b'{"task": 1}', 422),
        (b'{"task": null}', 422),
        (b'{"task": "add", "more": 1}', 422),
        (b'{"task": "add", "args": {"a": 1}}', 422),
        (b'{"task": "add", "args": "1"}', 422),
        (b'{"task": "add", "args": null}', 422),
        (b'{"task": "add", "kwargs": []}', 422),
        (b'{"task": "add", "kwargs": {"a": 1, "nonsense": 2}}', 422),
        (b'{"task": "add", "args": [1, 2, 3]}', 422),
        (b'{"task": "add", "args": [1], "kwargs": {"a": 1}}', 422),
        (b'{"task": "add", "args": ["one"]}', 422),
        (b'{"task": "add", "args": [1.5]}', 422),
        (b'{"task": "add", "args": [null]}', 422),
        (b'{"task": "add"}', 422),
        (b'{"task": "add", "args": [1e999]}', 422),
        (b'{"task": "echo", "args": [' + b"9" * 5_000 + b"]}", 422),
        (b'{"task": "echo", "options": {"priority": ' + b"9" * 30 + b"}}", 422),
        (b'{"task": "keyed", "args": ["tomorrow"]}', 422),
        (b'{"task": "picky", "args": [1]}', 422),
        (b'{"task": "picky", "args": [{}]}', 422),
        (b'{"task": "echo", "args": ["\\u0000"]}', 202),
        (b'{"task": "add", "task": "echo", "args": [1], "args": [2]}', 202),
        (b'{"task": "add", "args": [1], "options": null}', 422),
        (b'{"task": "add", "args": [1], "options": []}', 422),
    ],
    ids=lambda value: value[:44].decode("latin-1") if isinstance(value, bytes) else str(value),
)
async def test_bodies_that_are_wrong(site: Any, body: bytes, status: int) -> None:
    said = await site.ann.post("/jobs", content=body, headers=JSON)
    if status != 202:
        problem(said, status)
        assert (await site.ann.get("/jobs")).json()["jobs"] == []
    else:
        assert said.status_code == 202, said.text
        assert (await site.ann.get("/jobs")).status_code == 200


@pytest.mark.parametrize("depth", [150, 600, 2_000, 20_000, 200_000])
@pytest.mark.parametrize("place", ["args", "kwargs", "meta", "priority", "tags", "run_at", "filter"])
async def test_bodies_that_are_nested_deeply(site: Any, place: str, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    body = {
        "args": b'{"task": "echo", "args": %b}' % deep,
        "kwargs": b'{"task": "echo", "kwargs": {"value": %b}}' % deep,
        "filter": b'{"filter": {"ids": %b}}' % deep,
    }.get(place, b'{"task": "echo", "options": {"%b": %b}}' % (place.encode(), deep))
    path = "/jobs/cancel" if place == "filter" else "/jobs"
    said = await site.ann.post(path, content=body, headers=JSON)
    if said.status_code != 202:
        problem(said, 400, 422)
    assert (await site.ann.get("/jobs")).status_code == 200, "what was taken can be shown"


async def test_of_equal_names_in_an_object_the_last_counts(site: Any) -> None:
    body = b'{"task": "add", "task": "echo", "args": [1], "args": [2]}'
    record = (await site.ann.post("/jobs", content=body, headers=JSON)).json()
    assert (record["task"], record["args"]) == ("jobs.echo", [2])


OPTIONS: list[dict[str, Any]] = [
    *({"queue": value} for value in (1, None, "", "x" * 256, "a\x00", [], {})),
    *({"priority": value} for value in ("high", 101, -101, 1.5, True, None, [])),
    *({"delay": value} for value in (-1, "soon", 1e300, True, None, [1])),
    *({"run_at": value} for value in ("tomorrow", 1, True, [], {}, "2030-01-01", "2030-01-01T00:00:00")),
    *({"run_at": value} for value in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "x" * 100_000)),
    *({"key": value} for value in (1, "", "x" * 256, "a\x00", [], {})),
    *({"tags": value} for value in ("t", 1, None, [1], [""], ["a\x00"], [[]], ["x" * 256])),
    {"delay": 1, "run_at": "2030-01-01T00:00:00Z"},
]
OF_ADMINS: list[dict[str, Any]] = [
    *({"owner": value} for value in (1, "", "a\x00", [])),
    *({"max_attempts": value} for value in (0, "x", None, 1.5)),
    *({"timeout": value} for value in (0, -1, "x", [])),
    *({"backoff": value} for value in ("x", {"kind": "x"}, [], -1)),
    *({"retry_on": value} for value in ("ValueError", ["ValueError"], 1)),
    *({"executor": value} for value in ("moon", 1, [])),
    *({"keep_for": value} for value in (-1, "x", [])),
    *({"rate": value} for value in ("fast", 1, "0/s", [])),
    *({"by": value} for value in ("nothing", 1)),
    {"expose": "yes"},
    {"schedule": "every hour"},
    {"nonsense": 1},
    {"connection": 1},
    {"debounce": 1, "key": "k"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: str(options)[:50])
async def test_options_that_are_wrong(memory_site: Any, options: Any) -> None:
    for client in (memory_site.ann, memory_site.admin):
        problem(await client.post("/jobs", json={"task": "add", "args": [1], "options": options}), 422)
    assert (await memory_site.admin.get("/jobs")).json()["jobs"] == []


@pytest.mark.parametrize("options", OF_ADMINS, ids=lambda options: str(options)[:50])
async def test_options_of_admins_that_are_wrong(memory_site: Any, options: Any) -> None:
    said = await memory_site.admin.post("/jobs", json={"task": "shared", "args": ["s"], "options": options})
    problem(said, 422)
    assert (await memory_site.admin.get("/jobs")).json()["jobs"] == []


async def test_the_longest_of_everything_is_stored(site: Any) -> None:
    """Whatever passes the checks, no store refuses."""
    options = {
        "queue": "q" * 255,
        "key": "é" * 255,
        "tags": ["t" * 255, "💥" * 255],
        "meta": {"deep": [{"NUL": "\x00"}] * 10, "big": 10**18},
        "run_at": "9999-12-31T23:59:59Z",
        "priority": -100,
    }
    owner = "ö" * 255
    body = {"task": "echo", "args": ["\x00 💥 \\u0000", 1e308, -0.0, 2**53], "options": options}
    said = await site.by(owner).post("/jobs", json=body, headers={"idempotency-key": "x" * 200})
    assert said.status_code == 202, said.text
    record = (await site.by(owner).get(f"/jobs/{said.json()['id']}")).json()
    assert (record["owner"], record["key"], record["args"]) == (owner, "é" * 255, body["args"])
    for params in ({"queue": "q" * 255}, {"tag": "💥" * 255}, {"key": "é" * 255}, {"text": "💥"}):
        found = (await site.by(owner).get("/jobs", params=params)).json()["jobs"]
        assert [job["id"] for job in found] == [record["id"]], params
    assert (await site.admin.get("/stats")).status_code == 200
    assert (await site.admin.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""]
)
async def test_other_media_than_json(memory_site: Any, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    for path in ("/jobs", "/jobs/cancel", "/schedules", "/queues/mail/pause", "/workers/w/stop"):
        problem(await memory_site.admin.post(path, content=b"{}", headers=headers), 415)


async def test_json_by_other_names(memory_site: Any) -> None:
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        body = b'{"task": "add", "args": [1]}'
        assert (await memory_site.ann.post("/jobs", content=body, headers={"content-type": kind})).status_code == 202


async def test_bodies_that_are_too_large(memory_site: Any) -> None:
    memory_site.serve(max_body=1000)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10_000):
            read += 100
            yield b" " * 100

    for path in ("/jobs", "/jobs/delete", "/schedules", "/queues/mail/limit"):
        problem(await memory_site.admin.post(path, content=b" " * 1001, headers=JSON), 413)
        read = 0
        problem(await memory_site.admin.post(path, content=endless(), headers=JSON), 413)
        assert read < 2000, "it is refused as soon as it is known to be too large"
    for length in ("9" * 30, "1001"):
        said = await memory_site.admin.post("/jobs", content=b"{}", headers={**JSON, "content-length": length})
        problem(said, 413)
    assert (await memory_site.ann.post("/jobs", content=b" " * 900, headers=JSON)).status_code == 400


async def test_arguments_that_are_too_large(site: Any) -> None:
    said = await site.ann.post("/jobs", json={"task": "echo", "args": ["x" * (1024 * 1024)]})
    assert problem(said, 413)["type"] == "urn:stoker:payload-too-large"
    assert (await site.ann.post("/jobs", json={"task": "echo", "args": ["x" * (1024 * 1024 - 100)]})).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/jobs", {"GET", "HEAD", "POST"}),
        ("DELETE", "/jobs/x", {"GET", "HEAD"}),
        ("OPTIONS", "/jobs", {"GET", "HEAD", "POST"}),
        ("PATCH", "/schedules/x", {"GET", "HEAD", "DELETE"}),
        ("GET", "/queues/x/pause", {"POST"}),
        ("POST", "/stats", {"GET", "HEAD"}),
        ("DELETE", "/workers", {"GET", "HEAD"}),
        ("NONSENSE", "/jobs", {"GET", "HEAD", "POST"}),
    ],
)
async def test_methods_that_an_address_does_not_take(
    memory_site: Any, method: str, path: str, allowed: set[str]
) -> None:
    said = await memory_site.admin.request(method, path)
    problem(said, 405)
    assert {name.strip() for name in said.headers["allow"].split(",")} == allowed


async def test_head_tells_what_get_would(memory_site: Any) -> None:
    await memory_site.enqueue()
    for path in ("/jobs", "/queues", "/stats", "/health/live", "/openapi.json", "/metrics"):
        assert (await memory_site.admin.head(path)).status_code == 200, path


@pytest.mark.parametrize(
    "path", ["/jobs/", "/queues/", "//jobs", "/jobs//", "/nothing", "/jobs/a/b/c", "/health", "/health/", "/Jobs"]
)
async def test_addresses_that_are_none(memory_site: Any, path: str) -> None:
    said = await memory_site.admin.get(f"http://testserver{path}")
    assert said.status_code == 404, "no redirect, which would name the host that the request claims to be for"
    assert "location" not in said.headers


async def test_what_is_sent_comes_back_shortened(memory_site: Any) -> None:
    said = await memory_site.ann.post("/jobs", json={"task": "x" * 1_000_000})
    problem(said, 404)
    assert len(said.content) < 5_000
