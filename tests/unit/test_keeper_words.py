"""What the keeper carries between the loop and the store: logs, commands and tallies, also while the store fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from stoker.clock import SECOND
from stoker.drivers.memory import MemoryDriver
from stoker.errors import StoreUnavailable
from stoker.events import Event, StoreFailed
from stoker.job import Log, NewJob, Verdict
from stoker.options import Options
from stoker.store import Command, Orders, Routing, Want, Worker
from stoker.stores.memory import MemoryStore
from stoker.tally_store import Tally
from stoker.task import Task
from stoker.worker import tallying
from stoker.worker.attempt import Attempt
from stoker.worker.keeper import Keeper

HOUR = 3600.0
START = 1_767_225_600 * SECOND


class Line(MemoryDriver):
    """A driver on which things happen to plans of some names, before they are run or after."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self.made: list[str] = []

    def run(self, plan: Any) -> Any:
        self.made.append(plan.name)
        self.before.get(plan.name, lambda: None)()
        result = super().run(plan)
        self.after.get(plan.name, lambda: None)()
        return result


class Loop:
    """Does at once what it is told to do soon."""

    def call_soon_threadsafe(self, what: Callable[[], None]) -> None:
        what()


class Ship:
    """A keeper without its thread, on a store in memory whose clock stands still, with one job that runs."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: START)  # else a minute may end between two tallies, which then are not one
        self.line = Line()
        self.events: list[Event] = []
        self.orders: list[Orders] = []
        self.free: list[Attempt] = []
        self.serial = 0
        self.keeper = Keeper(
            self.store, self.line, self._introduce, self, self.events.append, lease=HOUR, chance=random.Random(0)
        )
        self.keeper._loop = Loop()  # type: ignore[assignment]
        self.keeper._tidy_at = float("inf")
        self.worker = self.keeper.register()
        self.attempt = self.claim()

    def _introduce(self) -> Worker:
        self.serial += 1
        return Worker(id=f"w{self.serial}", host="h", pid=1, version="0", concurrency=1)

    def claim(self) -> Attempt:
        self.line.run(self.store.insert([NewJob(id="job", task="t", payload="[[],{}]", keep_for=10**12)]))
        reply = self.line.run(self.store.exchange(self.worker.id, (), [Want(None, 1)], Routing(frozenset({"t"})), 1))
        return Attempt(reply.claims[0], Task(lambda: None, "t", Options()), None, self.keeper.report)

    def log(self, text: str) -> None:
        self.attempt.context.keep(f"{text}\n")
        self.keeper.report(self.attempt)

    def kept(self) -> str:
        return "".join(log.text for log in self.line.run(self.store.logs("job")))

    def pulse(self) -> None:
        self.keeper._pulse()

    # --- as the worker's loop ---------------------------------------------------------------------------------------

    def ordered(self, orders: Orders) -> None:
        self.orders.append(orders)

    def carried(self, attempts: Sequence[Attempt]) -> None:
        self.free += attempts

    def lease_lost(self, worker: Worker) -> None:
        raise AssertionError("the lease was lost")


@pytest.fixture
def ship() -> Ship:
    return Ship()


def refuse() -> None:
    raise StoreUnavailable("not now")


# --- logs -------------------------------------------------------------------------------------------------------------


def test_lines_go_with_the_next_heartbeat_and_only_once(ship: Ship) -> None:
    ship.log("one")
    ship.pulse()
    assert ship.kept() == "one\n"
    ship.pulse()
    ship.log("two")
    ship.pulse()
    assert ship.kept() == "one\ntwo\n"
    assert ship.line.run(ship.store.logs("job")) == [Log(attempt=1, fence=1, text="one\ntwo\n")]


def test_lines_that_did_not_arrive_are_sent_again_once(ship: Ship) -> None:
    ship.log("one")
    ship.line.before["heartbeat"] = refuse
    ship.pulse()
    ship.pulse()
    assert [type(event) for event in ship.events] == [StoreFailed, StoreFailed]
    ship.log("two")
    del ship.line.before["heartbeat"]
    ship.pulse()
    ship.pulse()
    assert ship.kept() == "one\ntwo\n"


def test_lines_that_no_store_takes_are_dropped_and_the_lease_is_not(ship: Ship) -> None:
    def break_down() -> None:
        raise ValueError("no text of mine")

    ship.log("poison")
    ship.line.before["heartbeat"] = break_down
    ship.pulse()
    del ship.line.before["heartbeat"]
    ship.log("fine")
    ship.pulse()
    assert ship.kept() == "fine\n"


def test_an_attempt_that_ends_meanwhile_is_held_until_its_lines_arrived(ship: Ship) -> None:
    waits = []

    def end() -> None:
        ship.attempt.ended = True
        waits.append(ship.keeper.carries(ship.attempt))

    ship.log("one")
    ship.line.before["heartbeat"] = end
    ship.pulse()
    assert (waits, ship.free) == ([True], [ship.attempt])
    assert not ship.keeper.carries(ship.attempt)
    assert (ship.kept(), ship.attempt.context.take_log()) == ("one\n", None)


def test_if_they_do_not_arrive_its_outcome_has_them(ship: Ship) -> None:
    def end() -> None:
        ship.attempt.ended = True
        assert ship.keeper.carries(ship.attempt)
        refuse()

    ship.log("one")
    ship.line.before["heartbeat"] = end
    ship.pulse()
    ship.log("two")
    del ship.line.before["heartbeat"]
    ship.pulse()
    assert ship.free == [ship.attempt]
    assert (ship.kept(), ship.attempt.context.take_log()) == ("", "one\ntwo\n")


def test_nothing_is_carried_of_an_attempt_that_has_ended(ship: Ship) -> None:
    ship.log("one")
    ship.attempt.ended = True
    ship.pulse()
    assert (ship.kept(), ship.free) == ("", [])
    assert not ship.keeper.carries(ship.attempt)
    assert ship.attempt.context.take_log() == "one\n"


def test_progress_alone_holds_nobody(ship: Ship) -> None:
    waits = []
    ship.attempt.context.progress(0.5)
    ship.line.before["heartbeat"] = lambda: waits.append(ship.keeper.carries(ship.attempt))
    ship.pulse()
    assert waits == [False]


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_command_is_passed_on_once_and_so_is_its_end(ship: Ship) -> None:
    ship.pulse()
    assert ship.orders == []
    for command in (Command.QUIET, None, Command.STOP):
        assert ship.line.run(ship.store.command(ship.worker.id, command))
        ship.pulse()
        ship.pulse()
    assert [orders.command for orders in ship.orders] == [Command.QUIET, None, Command.STOP]


def test_a_worker_under_a_new_name_is_not_told_what_the_old_one_was(ship: Ship) -> None:
    old = ship.worker

    def begin_anew() -> None:
        ship.keeper.lose(old)
        ship.keeper.register()

    assert ship.line.run(ship.store.command(old.id, Command.QUIET))
    ship.line.after["hear"] = begin_anew
    ship.pulse()
    del ship.line.after["hear"]
    ship.pulse()
    assert [orders.command for orders in ship.orders] in ([], [None])


# --- tallies ----------------------------------------------------------------------------------------------------------


def tallies(ship: Ship) -> list[Tally]:
    return [
        Tally(queue=t.queue, completed=t.completed, failed=t.failed, retried=t.retried, cancelled=t.cancelled)
        for t in ship.line.run(ship.store.tallies.read(round(HOUR) * SECOND))
    ]


def test_ends_are_told_by_queue_when_it_is_time(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "EVERY", HOUR)  # however long the test takes, it is too soon
    sheet = ship.keeper.tallying
    for verdict in Verdict:
        sheet.count("mail", verdict)
    sheet.count("mail", Verdict.COMPLETED)
    sheet.count("other", Verdict.FAILED)
    ship.pulse()
    assert tallies(ship) == [], "the loop has not handed anything over"
    sheet.hand_over()
    ship.pulse()
    told = [
        Tally(queue="mail", completed=2, failed=1, retried=1, cancelled=1),
        Tally(queue="other", failed=1),
    ]
    assert tallies(ship) == told
    sheet.count("mail", Verdict.COMPLETED)
    sheet.hand_over()
    ship.pulse()
    assert tallies(ship) == told, "not so soon"
    assert ship.line.made.count("add") == 1
    ship.keeper.stop()
    assert tallies(ship)[0].completed == 3, "before it goes"
    assert ship.line.made.index("retire") > max(i for i, name in enumerate(ship.line.made) if name == "add")


def test_what_was_refused_is_told_again_and_the_lease_is_kept(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "EVERY", 0.0)
    ship.line.before["add"] = refuse
    sheet = ship.keeper.tallying
    for _ in range(3):
        sheet.count("mail", Verdict.COMPLETED)
        sheet.hand_over()
        ship.pulse()
    assert [type(event) for event in ship.events] == [StoreFailed] * 3
    assert ship.keeper.holds(ship.worker)
    assert ship.keeper.reaches
    del ship.line.before["add"]
    sheet.count("mail", Verdict.COMPLETED)
    sheet.hand_over()
    ship.pulse()
    assert tallies(ship) == [Tally(queue="mail", completed=4)]


def test_what_cannot_be_told_does_not_grow_for_ever(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "EVERY", 0.0)
    monkeypatch.setattr(tallying, "MOST_UNTOLD", 3)
    ship.line.before["add"] = refuse
    sheet = ship.keeper.tallying
    for number in range(10):
        sheet.count(f"queue {number}", Verdict.COMPLETED)
        sheet.hand_over()
        ship.pulse()
    del ship.line.before["add"]
    ship.pulse()
    assert tallies(ship) == [Tally(queue=f"queue {number}", completed=1) for number in range(3)]


def test_nothing_is_told_where_nothing_ended(ship: Ship) -> None:
    for _ in range(3):
        ship.keeper.tallying.hand_over()
        ship.pulse()
    ship.keeper.stop()
    assert "add" not in ship.line.made
