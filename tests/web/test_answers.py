"""Questions that may be costly: asked aside, once for all, remembered, given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from stoker import Stoker
from stoker.errors import StoreUnavailable, TookTooLong
from stoker.plan import Plan, reading
from stoker.web.answers import Answers

pytestmark = pytest.mark.asyncio


class Driver:
    """Answers with the number of the question, or as it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.within: list[float] = []
        self.error: Exception | None = None
        self.takes = 0.0
        self.gate: asyncio.Event | None = None
        self.now = 1000.0
        self.closed = False

    async def ask(self, plan: Plan[Any], within: float) -> int:
        self.asked += 1
        self.within.append(within)
        number = self.asked
        if self.gate is not None:
            await self.gate.wait()
        self.now += self.takes
        if self.error is not None:
            raise self.error
        return number

    def close(self) -> None:
        self.closed = True


@reading
def question() -> Any:
    yield from ()
    return None


@pytest_asyncio.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Answers, Driver]]:
    app, driver = Stoker("memory://"), Driver()
    monkeypatch.setattr(app.engine, "aside", lambda: driver)
    monkeypatch.setattr("stoker.web.answers.clock.monotonic", lambda: driver.now)
    yield Answers(app.engine), driver
    await app.aclose()


async def test_an_answer_is_kept_for_a_moment(made: tuple[Answers, Driver]) -> None:
    answers, driver = made
    assert await answers.kept("name", question) == 1
    driver.now += 1
    assert await answers.kept("name", question) == 1
    assert await answers.kept("other", question) == 2
    driver.now += 1
    assert await answers.kept("name", question) == 3
    assert set(driver.within) == {2.0}


async def test_a_costly_answer_is_kept_for_longer(made: tuple[Answers, Driver]) -> None:
    answers, driver = made
    driver.takes = 0.5
    assert await answers.kept("name", question) == 1
    driver.now += 9.9
    assert await answers.kept("name", question) == 1
    driver.now += 0.2
    assert await answers.kept("name", question) == 2
    driver.takes = 100.0
    driver.now += 20
    await answers.kept("name", question)
    driver.now += 61
    assert await answers.kept("name", question) == 4, "no answer is older than a minute"


async def test_all_who_ask_at_once_are_one_question(made: tuple[Answers, Driver]) -> None:
    answers, driver = made
    driver.gate = asyncio.Event()
    first, *others = [asyncio.ensure_future(answers.kept("name", question)) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()  # who goes away leaves the others their answer
    driver.gate.set()
    assert await asyncio.gather(*others) == [1] * 19


async def test_a_question_that_took_too_long_is_not_asked_again_at_once(made: tuple[Answers, Driver]) -> None:
    answers, driver = made
    driver.error = TookTooLong("too long")
    for _ in range(3):
        with pytest.raises(TookTooLong):
            await answers.kept("name", question)
    assert driver.asked == 1
    driver.error = None
    driver.now += 31
    assert await answers.kept("name", question) == 2
    driver.now += 2
    driver.error = TookTooLong("too long")
    assert await answers.kept("name", question) == 2, "an older answer stands in"
    driver.now += 29
    assert await answers.kept("name", question) == 2
    assert driver.asked == 3


async def test_a_store_that_is_down_is_not_hidden_by_what_is_known(made: tuple[Answers, Driver]) -> None:
    answers, driver = made
    await answers.kept("name", question)
    driver.now += 2
    driver.error = StoreUnavailable("down")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await answers.kept("name", question)
    driver.error = None
    assert await answers.kept("name", question) == 4


async def test_what_was_not_asked_for_long_is_forgotten(
    made: tuple[Answers, Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, driver = made
    monkeypatch.setattr("stoker.web.answers._MOST", 2)
    for name in ("a", "b", "c"):
        await answers.kept(name, question)
    assert await answers.kept("c", question) == 3
    assert await answers.kept("a", question) == 4
    assert driver.asked == 4


async def test_questions_have_connections_of_their_own_that_end_with_the_app(tmp_path: Any) -> None:
    app = Stoker(f"sqlite:///{tmp_path}/jobs.db")
    answers = Answers(app.engine)
    assert (await answers.ask(app.engine.connection.store.totals())).counts == {}
    assert answers._driver is not app.engine.connection.driver
    await app.aclose()
    with pytest.raises(Exception, match="closed"):
        await answers._driver.arun(app.engine.connection.store.totals())  # type: ignore[union-attr]


async def test_what_was_known_before_a_change_is_asked_again(made: tuple[Answers, Driver]) -> None:
    answers, _ = made
    assert await answers.kept("name", question) == 1
    assert await answers.kept("name", question) == 1
    answers.forget()
    assert await answers.kept("name", question) == 2


async def test_a_question_from_before_a_change_answers_nobody_after_it(made: tuple[Answers, Driver]) -> None:
    answers, driver = made
    driver.gate = asyncio.Event()
    before = asyncio.ensure_future(answers.kept("name", question))
    while not driver.asked:
        await asyncio.sleep(0)
    answers.forget()
    after = asyncio.ensure_future(answers.kept("name", question))
    while driver.asked < 2:
        await asyncio.sleep(0)
    driver.gate.set()
    assert (await before, await after) == (1, 2)
    assert await answers.kept("name", question) == 2
