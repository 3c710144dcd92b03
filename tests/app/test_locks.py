"""Locks as an app takes them: one holder at a time, renewed while held, and a token for those who come late."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from stoker import InvalidOption, LockLost, LockTaken, Stoker
from stoker.clock import SECOND
from stoker.plan import Plan

WAIT = 60
SHORT = 0.3
"""Seconds of a ttl that a test waits for."""


@pytest.fixture
def app(queue_place: Any) -> Stoker:
    return queue_place.app


def test_one_has_it_at_a_time(app: Stoker) -> None:
    with app.locks.acquire("nightly") as lock:
        assert lock.held
        with pytest.raises(
            LockTaken, match="the lock 'nightly' is held by somebody else; unless it is renewed it is free"
        ):
            app.locks.acquire("nightly", blocking=False).__enter__()
        with app.locks.acquire("weekly", blocking=False):
            pass
    assert not lock.held
    with app.locks.acquire("nightly", blocking=False) as other:
        assert other.token > 0


def test_from_async_code(app: Stoker) -> None:
    async def use() -> list[int]:
        async with app.locks.acquire("nightly") as lock:
            with pytest.raises(LockTaken):
                await app.locks.acquire("nightly", blocking=False).__aenter__()
            first = lock.token
        async with app.locks.acquire("nightly", timeout=5) as lock:
            return [first, lock.token]

    tokens = asyncio.run(use())
    assert tokens == sorted(set(tokens))


def test_who_waits_gets_it_when_it_is_free(app: Stoker) -> None:
    order: list[str] = []
    held = threading.Event()

    def first() -> None:
        with app.locks.acquire("nightly"):
            held.set()
            assert asked.wait(WAIT)
            order.append("first")

    asked = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(WAIT)
    lock = app.locks.acquire("nightly", timeout=WAIT)
    asked.set()
    with lock:
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_the_time_to_wait_ends(app: Stoker) -> None:
    with app.locks.acquire("nightly"), pytest.raises(LockTaken, match=r"after 0.05 s"):
        app.locks.acquire("nightly", timeout=0.05).__enter__()
    with app.locks.acquire("nightly"), pytest.raises(TimeoutError):
        app.locks.acquire("nightly", timeout=0).__enter__()


def test_it_is_renewed_while_it_is_held(app: Stoker) -> None:
    with app.locks.acquire("nightly", ttl=2.5) as lock:  # more than its thread may have to wait for the CPU
        left = SECOND * 3
        for _ in range(3000):
            grant = run(app, app.engine.connection.store.locks.acquire("nightly", "somebody else", SECOND))
            assert grant.token is None
            if grant.free_in > left:
                break
            left = grant.free_in
            threading.Event().wait(0.01)
        assert grant.free_in > left, "it was never renewed"
        lock.check()


def test_a_holder_that_dies_frees_it_after_its_ttl(app: Stoker) -> None:
    dead = app.locks.acquire("nightly", ttl=SHORT)
    dead.__enter__()
    dead._stop_renewing()  # what a dead process does not do
    with app.locks.acquire("nightly", timeout=WAIT) as lock:
        assert lock.token > dead.token
    assert not dead.held
    with pytest.raises(LockLost, match="ran out before it was renewed"):
        dead.check()
    dead.__exit__(None, None, None)  # frees nothing of anybody else's


def test_a_late_holder_is_told_by_its_token(app: Stoker) -> None:
    """Mutual exclusion with a pause past the ttl: what is protected refuses the smaller token, and loses nothing."""
    written: list[tuple[int, str]] = []

    def write(token: int, text: str) -> bool:
        if written and token < written[-1][0]:
            return False
        written.append((token, text))
        return True

    late = app.locks.acquire("file", ttl=SHORT)
    with late:
        late._stop_renewing()  # a process that stands still: its thread does, too
        token = late.token
        with app.locks.acquire("file", timeout=WAIT) as present:
            assert write(present.token, "present")
            assert not write(token, "late")
            assert not late.held
    assert [text for _, text in written] == ["present"]


def test_a_lock_that_was_taken_away_is_noticed(app: Stoker) -> None:
    with app.locks.acquire("nightly", ttl=SHORT) as lock:
        run(app, app.engine.connection.store.locks.release("nightly", lock.token))
        lock._renewing.join(WAIT)  # type: ignore[union-attr]
        assert not lock.held


def test_many_threads_never_have_it_together(app: Stoker) -> None:
    inside: list[int] = []
    most: list[int] = []
    tokens: list[int] = []

    def work() -> None:
        for _ in range(5):
            with app.locks.acquire("nightly", timeout=WAIT) as lock:
                inside.append(1)
                most.append(len(inside))
                tokens.append(lock.token)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert (len(tokens), max(most)) == (20, 1)
    assert tokens == sorted(set(tokens))


def test_mistakes_are_named(app: Stoker) -> None:
    with pytest.raises(InvalidOption, match=r"ttl must be 0.05 or more seconds"):
        app.locks.acquire("nightly", ttl=0)
    with pytest.raises(InvalidOption, match="a lock's name must be a text"):
        app.locks.acquire(None)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="either blocking=False or a timeout"):
        app.locks.acquire("nightly", blocking=False, timeout=1)
    lock = app.locks.acquire("nightly")
    with pytest.raises(LockLost, match="is not held"):
        _ = lock.token


def run(app: Stoker, plan: Plan[Any]) -> Any:
    return app.engine.run(plan)
