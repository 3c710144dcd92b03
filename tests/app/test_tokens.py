"""Tokens of jobs: whoever has one may follow one job for a while, and nobody makes one who has not the secret."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import places
from stoker import ConfigError, InvalidOption, MissingExtra, Stoker, clock, tokens
from stoker.errors import InvalidToken

SECRET = "a secret that is long enough, by chance"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def declare(app: Stoker) -> Any:
    @app.task(name="noop")
    def noop() -> None: ...

    return noop


def secret_of(app: Stoker) -> str:
    return app.engine.play(app.engine.secret())


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the wall clock."""
    started = clock.now()

    def move(seconds: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: started + clock.to_span(seconds))

    return move


@pytest.fixture(params=["sqlite-normal", "postgres", "redis"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A place that several apps use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STOKER_SECRET", raising=False)
    with places.fresh(request.param, tmp_path) as url:
        yield url


# --- what a token is --------------------------------------------------------------------------------------------------


def test_a_token_names_its_job(place: Any) -> None:
    handle = declare(place.app).enqueue()
    assert tokens.read(secret_of(place.app), handle.token()) == handle.id
    assert tokens.read(secret_of(place.app), place.app.jobs.handle(handle.id).token(timedelta(days=3))) == handle.id


@pytest.mark.asyncio
async def test_also_from_async_code(place: Any) -> None:
    handle = await declare(place.app).aenqueue()
    token = await handle.atoken(60)
    assert tokens.read(await place.app.engine.aplay(place.app.engine.secret()), token) == handle.id


def test_a_token_fits_into_a_url() -> None:
    token = tokens.sign(SECRET, "id", 60)
    assert set(token) <= {*ALPHABET, "."}


def test_a_token_is_good_until_it_expires(later: Callable[[float], None]) -> None:
    later(0)
    token = tokens.sign(SECRET, "id", 60)
    later(60)
    assert tokens.read(SECRET, token) == "id", "no shorter than was said"
    later(61)
    with pytest.raises(InvalidToken, match="expired"):
        tokens.read(SECRET, token)
    later(-3600)
    assert tokens.read(SECRET, token) == "id", "who made it has a clock of its own"


def test_the_shortest_and_the_longest(later: Callable[[float], None]) -> None:
    later(0)
    short = tokens.sign(SECRET, "id", 0.25)
    later(0.25)
    assert tokens.read(SECRET, short) == "id"
    later(1.25)
    with pytest.raises(InvalidToken):
        tokens.read(SECRET, short)
    tokens.sign(SECRET, "id", timedelta(days=366))


@pytest.mark.parametrize(
    "expires",
    [
        0,
        -1,
        0.0,
        366 * 86400 + 1,
        float("nan"),
        float("inf"),
        True,
        False,
        None,
        "60",
        timedelta(0),
        timedelta(days=-1),
        [],
        10**400,
    ],
    ids=str,
)
def test_spans_that_are_none(expires: Any) -> None:
    with pytest.raises(InvalidOption, match="expires must be"):
        tokens.sign(SECRET, "id", expires)


def test_no_letter_of_a_token_can_be_changed() -> None:
    token = tokens.sign(SECRET, "id", 60)
    for place, sign in enumerate(token):
        for other in ("A" if sign != "A" else "B", "", sign * 2, "."):
            changed = token[:place] + other + token[place + 1 :]
            if changed == token or same_bytes(changed, token):
                continue
            with pytest.raises(InvalidToken, match="not one of this app's"):
                tokens.read(SECRET, changed)


def same_bytes(one: str, other: str) -> bool:
    """Whether the last letters differ only in bits that are no part of the signature."""
    bits = [ALPHABET.find(text[-1]) >> 2 for text in (one, other)]
    return bits[0] == bits[1] and one[:-1] == other[:-1]


@pytest.mark.parametrize(
    "text", ["", ".", "a", "a.b", "a.b.c", "\x00", "💥", "\ud800", "x" * 100_000, " ", "%", ".." * 50]
)
def test_texts_that_are_no_tokens(text: str) -> None:
    with pytest.raises(InvalidToken, match="not one of this app's"):
        tokens.read(SECRET, text)


def test_what_was_signed_with_the_secret_for_something_else_is_no_token() -> None:
    from itsdangerous import URLSafeSerializer

    for salt in ("stoker.form", "stoker", "", "itsdangerous"):
        with pytest.raises(InvalidToken):
            tokens.read(SECRET, URLSafeSerializer(SECRET, salt=salt).dumps(["id", 2**40]))
    ours = URLSafeSerializer(SECRET, salt="stoker.job")
    assert tokens.read(SECRET, ours.dumps(["id", 2**40])) == "id"
    for content in (
        "id",
        ["id"],
        ["id", "soon"],
        ["id", None],
        [1, 2**40],
        {"id": 1, "until": 2},
        None,
        ["id", 1.5, 2],
        5,
    ):
        with pytest.raises(InvalidToken):
            tokens.read(SECRET, ours.dumps(content))


# --- the secret -------------------------------------------------------------------------------------------------------


def test_the_secret_of_the_settings_is_the_one(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_SECRET", SECRET)
    with Stoker(shared_url) as app:
        assert secret_of(app) == SECRET
        handle = declare(app).enqueue()
        assert tokens.read(SECRET, handle.token()) == handle.id
    monkeypatch.delenv("STOKER_SECRET")
    with Stoker(shared_url) as app:
        assert secret_of(app) != SECRET, "it was not written anywhere"


def test_a_secret_that_is_too_short_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_SECRET", "short")
    with pytest.raises(ConfigError, match="secret"):
        Stoker("memory://")


def test_the_secret_of_a_store_is_made_once(shared_url: str) -> None:
    with Stoker(shared_url) as one, Stoker(shared_url) as two:
        token = declare(one).enqueue().token()
        assert secret_of(one) == secret_of(two)
        assert tokens.read(secret_of(two), token)
    with Stoker(shared_url) as three:
        assert tokens.read(secret_of(three), token), "it outlives the process"
        assert len(secret_of(three)) >= 32


def test_two_stores_have_two_secrets(tmp_path: Path) -> None:
    with Stoker(f"sqlite:///{tmp_path}/one.db") as one, Stoker(f"sqlite:///{tmp_path}/two.db") as two:
        assert secret_of(one) != secret_of(two)


def test_the_secret_is_asked_for_once(memory_place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = declare(memory_place.app).enqueue()
    first = handle.token()
    monkeypatch.setattr(memory_place.app.engine.connection.store, "keep", None)
    assert tokens.read(secret_of(memory_place.app), first) == tokens.read(secret_of(memory_place.app), handle.token())


@pytest.mark.parametrize("shared", [True, False])
def test_a_forked_child(tmp_path: Path, shared: bool) -> None:
    """On a store that it shares with its parent it has the same secret; with its own memory, one of its own."""
    app = Stoker(f"sqlite:///{tmp_path}/jobs.db" if shared else "memory://")
    with app:
        noop = declare(app)
        token = noop.enqueue().token()

        def child() -> None:
            known = secret_of(app)
            if shared:
                assert tokens.read(known, token)
                assert tokens.read(known, noop.enqueue().token())
            else:
                with pytest.raises(InvalidToken):
                    tokens.read(known, token)

        forked(child)
        assert tokens.read(secret_of(app), token)


def forked(work: Callable[[], None]) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the test process
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "itsdangerous", None)
    with pytest.raises(MissingExtra, match="web"):
        tokens.sign(SECRET, "id", 60)
    with pytest.raises(MissingExtra, match="web"):
        tokens.read(SECRET, "a.b")
