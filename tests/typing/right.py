"""Calls that fit their tasks: both type checkers accept every line, and agree on every type."""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, assert_type

from stoker import BoundTask, Call, Context, Job, JobHandle, Stoker, exponential, fixed

app = Stoker("memory://")


@app.task
def area(width: int, height: float = 1.0, *, unit: str = "m") -> str:
    return f"{width * height} {unit}²"


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(name="told", queue="slow", max_attempts=3, backoff=exponential(base=2), timeout=timedelta(minutes=1))
def told(ctx: Context, path: str, width: int = 200) -> list[int]:
    ctx.progress(1, 2, path)
    return [width]


@app.task(retry_on=[OSError], fail_on=[KeyError], backoff=fixed(1), key=lambda path: path)
async def atold(ctx: Context, path: str) -> int | None:
    await ctx.app.aclose()
    return len(path)


@app.task()
def nothing() -> None: ...


@app.task
def anything(*parts: int, **named: str) -> dict[str, int]:
    return dict.fromkeys(named, len(parts))


# --- a plain call is the function's own ---

assert_type(area(3, 4.5, unit="cm"), str)
plain = assert_type(fetch("x"), Coroutine[Any, Any, bytes])
assert_type(told("x", width=5), list[int])
told_plain = assert_type(atold("x"), Coroutine[Any, Any, int | None])
assert_type(anything(1, 2, a="b"), dict[str, int])

# --- enqueuing takes the function's parameters, and gives a handle of its result ---

assert_type(area.enqueue(3), JobHandle[str])
assert_type(area.enqueue(3, 4.5, unit="cm"), JobHandle[str])
assert_type(area.enqueue(width=3, height=2), JobHandle[str])
assert_type(fetch.enqueue("x"), JobHandle[bytes])
assert_type(told.enqueue("x"), JobHandle[list[int]])
assert_type(told.enqueue(path="x", width=3), JobHandle[list[int]])
assert_type(atold.enqueue("x"), JobHandle[int | None])
assert_type(nothing.enqueue(), JobHandle[None])
assert_type(anything.enqueue(1, 2, a="b"), JobHandle[dict[str, int]])
assert_type(area.call(3, unit="cm"), Call)
assert_type(told.call("x"), Call)

assert_type(area.enqueue(3).result(), str)
assert_type(fetch.enqueue("x").result(timeout=1.5), bytes)
assert_type(area.enqueue(3).id, str)
assert_type(area.enqueue(3).created, bool)
assert_type(area.enqueue(3).refresh(), Job)

# --- other options, the same types ---

assert_type(area.using(delay=60, queue="q").enqueue(3, unit="cm"), JobHandle[str])
assert_type(told.using(tags=["a"]).using(priority=3).enqueue("x"), JobHandle[list[int]])
assert_type(told.using(owner="u")("x"), list[int])

# --- the caller's own transaction ---

own = sqlite3.connect(":memory:")
assert_type(area.enqueue(3, unit="cm", connection=own), JobHandle[str])
assert_type(area.using(connection=own).enqueue(3), JobHandle[str])


async def asynchronously() -> None:
    assert_type(await area.aenqueue(3, unit="cm"), JobHandle[str])
    assert_type(await told.aenqueue("x"), JobHandle[list[int]])
    assert_type(await (await fetch.aenqueue("x")), bytes)
    assert_type(await (await atold.aenqueue("x")), int | None)
    assert_type(await fetch("x"), bytes)
    assert_type(await area.aenqueue(3, connection=own), JobHandle[str])
    assert_type(await (await area.aenqueue(3)).arefresh(), Job)
    assert_type(await app.aenqueue_many([area.call(1), told.call("x")]), list[JobHandle[Any]])


assert_type(app.enqueue_many([area.call(1), fetch.call("x")]), list[JobHandle[Any]])
assert_type(app.jobs.get("x"), Job)
assert_type(app.jobs.count(), dict[str, int])
assert_type(app.jobs.cancel("x", dry_run=True), int)

# --- tasks can be passed on ---


def soon(task: BoundTask[[str], bytes, Any]) -> JobHandle[bytes]:
    return task.enqueue("x")


assert_type(soon(fetch), JobHandle[bytes])


def widened(handle: JobHandle[object]) -> None: ...


widened(area.enqueue(3))


# --- hooks and middleware keep their own types ---


@app.before
def prepare(ctx: Context) -> int:
    return ctx.attempt


assert_type(prepare(Context(job_id="x", task="t")), int)
