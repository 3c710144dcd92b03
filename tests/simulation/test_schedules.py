"""Schedulers in a world whose clock goes on, stands, leaps and steps back, and whose store loses replies."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker import Stoker
from stoker.clock import SECOND, to_instant
from stoker.connect import Connection
from stoker.drivers.memory import MemoryDriver
from stoker.errors import StoreUnavailable
from stoker.scheduler import Scheduler
from stoker.store import Filter, Page
from stoker.stores.memory import MemoryStore
from stoker.timing.expression import parse
from stoker.timing.zone import zone

EPOCH = 1_780_000_000 * SECOND


class Line(MemoryDriver):
    """The way to the store: now and then nothing arrives, or no reply comes back."""

    def __init__(self, chance: random.Random, lost: float) -> None:
        super().__init__()
        self._chance = chance
        self.lost = lost

    def run(self, plan: Any) -> Any:
        if self._chance.random() < self.lost:
            raise StoreUnavailable("the request was lost")
        reply = super().run(plan)
        if self._chance.random() < self.lost:
            raise StoreUnavailable("the reply was lost")
        return reply

    def sibling(self, *, patient: bool = True) -> Line:
        return self


class Town:
    """One store, one clock, and several programs with a scheduler each; nothing in it waits."""

    def __init__(self, seed: int, schedulers: int = 3, lost: float = 0.0) -> None:
        self.now = EPOCH
        self.chance = random.Random(seed)
        self.store = MemoryStore(lambda: self.now)
        self.line = Line(self.chance, 0.0)
        self.lost = lost
        self.events: list[Any] = []
        self.apps = [self._app() for _ in range(schedulers)]
        self.schedulers = [self._scheduler(app) for app in self.apps]

    def _app(self) -> Stoker:
        app = Stoker("memory://")
        app.engine.adopt(None, Connection(self.store, self.line))  # type: ignore[arg-type]
        app.task(lambda: None, name="t")
        return app

    def _scheduler(self, app: Stoker) -> Scheduler:
        return Scheduler(app.engine, app._declared, self.events.append)

    def declare(self, expression: str, **options: Any) -> None:
        for app in self.apps:
            app.schedules.declare(expression, "t", name="s", **options)

    def look(self, number: int) -> float:
        """One look of one scheduler, as its thread does it."""
        self.line.lost = self.lost
        try:
            return self.schedulers[number]._look_safely(self.store, self.line)
        finally:
            self.line.lost = 0.0

    def settle(self) -> None:
        """Look until everybody has nothing to do now."""
        self.lost = 0.0
        for number in range(len(self.schedulers)):
            while self.look(number) == 0.0:
                pass

    def restart(self, number: int) -> None:
        self.schedulers[number] = self._scheduler(self.apps[number])

    def ticks(self) -> list[int]:
        jobs = self.line.run(self.store.find(Filter(), Page(100_000)))
        return sorted(to_instant(job.run_at) for job in jobs)


@given(seed=st.integers(0, 2**32), lost=st.sampled_from((0.0, 0.2)), every=st.sampled_from((7, 60, 3600)))
@settings(max_examples=60)
def test_no_tick_is_missed_or_doubled_whatever_the_clock_does(seed: int, lost: float, every: int):
    town = Town(seed, lost=lost)
    town.declare(f"every {every} seconds", misfire="all")
    town.look(0)
    town.settle()
    town.lost = lost
    latest = first = town.now
    for _ in range(150):
        kind = town.chance.random()
        if kind < 0.6:
            town.now += round(town.chance.uniform(0, every) * SECOND)
        elif kind < 0.8:
            town.now -= round(town.chance.uniform(0, 3 * every) * SECOND)
        elif kind < 0.9:
            town.now += round(town.chance.uniform(0, 20 * every) * SECOND)
        else:
            town.restart(town.chance.randrange(3))
        latest = max(latest, town.now)
        town.look(town.chance.randrange(3))
    town.now = latest = latest + every * SECOND
    town.settle()
    span = every * SECOND
    assert town.ticks() == list(range((first // span + 1) * span, latest + 1, span))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_one_job_for_all_that_was_missed(seed: int):
    """However long nobody looked, there is one job, and it is the newest tick's."""
    town = Town(seed)
    town.declare("*/5 * * * *", misfire="one")
    town.settle()
    timing, where = parse("*/5 * * * *"), zone(None)
    for _ in range(30):
        before = set(town.ticks())
        asleep = town.now
        town.now += round(town.chance.uniform(0, 5 * 3600) * SECOND)
        town.settle()
        fresh = set(town.ticks()) - before
        missed = timing.newest(asleep + 1, town.now, where, 1)
        assert sorted(fresh) == missed


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"])
def test_a_year_of_days_in_a_zone(name: str):
    town = Town(1, schedulers=2)
    town.declare("30 2 * * *", tz=name)
    town.settle()
    for _ in range(366 * 12):
        town.now += 2 * 3600 * SECOND
        for number in (0, 1):
            while town.look(number) == 0.0:
                pass
    ticks = town.ticks()
    assert len(ticks) == 366
    assert set(Counter(ticks).values()) == {1}


def test_nobody_looks_before_the_next_tick_for_longer_than_two_seconds():
    town = Town(1, schedulers=1)
    town.declare("every 60 seconds")
    town.settle()
    pauses = []
    for _ in range(200):
        pause = town.look(0)
        pauses.append(pause)
        town.now += max(1, round(pause * SECOND))
    assert max(pauses) <= 2.0
    late = [run.at - run.tick for run in town.apps[0].schedules.get("s").runs]
    assert late
    assert max(span.total_seconds() for span in late) < 0.05
    assert not town.events[1:]
