"""What `LockStore` promises."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND
from stoker.lock_store import Grant
from stoker.testing.conformance.rig import Rig

TTL = 60 * SECOND


def acquire(rig: Rig, holder: str, name: str = "nightly", ttl: int = TTL) -> Grant:
    """Ask for a lock."""
    return rig.run(rig.store.locks.acquire(name, holder, ttl))


def token(rig: Rig, holder: str, name: str = "nightly") -> int:
    """Get a lock that is free."""
    granted = acquire(rig, holder, name).token
    assert granted is not None
    return granted


def test_a_free_lock_is_given(rig: Rig) -> None:
    granted = acquire(rig, "a")
    assert granted.token is not None
    assert granted.free_in == TTL


def test_a_held_lock_is_not_and_the_answer_says_until_when(rig: Rig) -> None:
    token(rig, "a")
    rig.advance(SECOND)
    assert acquire(rig, "b") == Grant(None, TTL - SECOND)


def test_locks_of_other_names_have_nothing_to_do_with_it(rig: Rig) -> None:
    token(rig, "a")
    assert acquire(rig, "b", "weekly").token is not None


def test_the_holder_gets_the_same_token_again(rig: Rig) -> None:
    first = token(rig, "a")
    rig.advance(SECOND)
    assert acquire(rig, "a") == Grant(first, TTL)
    rig.advance(TTL - 1)
    assert acquire(rig, "b").token is None


def test_a_lock_is_free_when_its_time_is_over_and_not_before(rig: Rig) -> None:
    first = token(rig, "a")
    rig.advance(TTL - 1)
    assert acquire(rig, "b") == Grant(None, 1)
    rig.advance(1)
    assert token(rig, "b") > first


def test_who_comes_back_after_its_time_gets_another_token(rig: Rig) -> None:
    first = token(rig, "a")
    rig.advance(TTL)
    assert token(rig, "a") > first


def test_tokens_grow_over_releases_and_names(rig: Rig) -> None:
    tokens = []
    for name in ("x", "y", "x", "z", "x"):
        tokens.append(token(rig, "a", name))
        assert rig.run(rig.store.locks.release(name, tokens[-1]))
    assert tokens == sorted(set(tokens))


def test_a_renewed_lock_is_held_from_then(rig: Rig) -> None:
    mine = token(rig, "a")
    rig.advance(TTL - 1)
    assert rig.run(rig.store.locks.renew("nightly", mine, TTL))
    rig.advance(TTL - 1)
    assert acquire(rig, "b") == Grant(None, 1)


def test_a_lock_whose_time_is_over_cannot_be_renewed(rig: Rig) -> None:
    mine = token(rig, "a")
    rig.advance(TTL)
    assert not rig.run(rig.store.locks.renew("nightly", mine, TTL))
    assert acquire(rig, "b").token is not None


def test_a_late_holder_neither_renews_nor_frees_the_lock_of_the_present_one(rig: Rig) -> None:
    late = token(rig, "a")
    rig.advance(TTL)
    present = token(rig, "b")
    assert not rig.run(rig.store.locks.renew("nightly", late, TTL))
    assert not rig.run(rig.store.locks.release("nightly", late))
    assert acquire(rig, "c").token is None
    assert rig.run(rig.store.locks.release("nightly", present))


def test_a_released_lock_is_free_at_once_and_only_once(rig: Rig) -> None:
    mine = token(rig, "a")
    assert rig.run(rig.store.locks.release("nightly", mine))
    assert not rig.run(rig.store.locks.release("nightly", mine))
    assert acquire(rig, "b").token is not None


def test_what_was_never_held_is_neither_renewed_nor_released(rig: Rig) -> None:
    assert not rig.run(rig.store.locks.renew("nightly", 1, TTL))
    assert not rig.run(rig.store.locks.release("nightly", 1))


def test_of_many_who_ask_at_once_one_gets_it(rig: Rig) -> None:
    answers = rig.run_together([rig.store.locks.acquire("nightly", f"holder {n}", TTL) for n in range(10)])
    assert sum(answer.token is not None for answer in answers) == 1


def test_tokens_grow_after_what_nobody_holds_was_forgotten(rig: Rig) -> None:
    first = token(rig, "a")
    rig.advance(TTL)
    rig.run(rig.store.prune())
    assert token(rig, "a") > first


@pytest.mark.parametrize("name", ["", "ä/ö ü", "x" * 255, "a:b{c}*"])
def test_any_name_will_do(rig: Rig, name: str) -> None:
    mine = token(rig, "a", name)
    assert acquire(rig, "b", name).token is None
    assert rig.run(rig.store.locks.release(name, mine))
