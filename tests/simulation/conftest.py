"""A world in which time is a number: dispatchers, the memory store, and a line between them that loses things.

Whatever is done to a worker here, its promises are checked at every step. Nothing in it waits, so an hour is a moment.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stoker.clock import SECOND
from stoker.dispatcher import Decision, Dispatcher, Exchange
from stoker.drivers.memory import MemoryDriver
from stoker.job import FINAL, Claim, Failure, Job, NewJob, Outcome, Verdict
from stoker.plan import Plan
from stoker.store import Exchanged, Filter, Page, Routing, Worker
from stoker.stores.memory import MemoryStore

LEASE = 15.0
TASK = "job"
POISON = '"poison"'
EPOCH = 1_700_000_000 * SECOND


class Faults:
    """How often things go wrong: chances from 0 to 1."""

    def __init__(self, *, lost: float = 0, refused: float = 0, poison: float = 0, deaf: float = 0) -> None:
        self.lost = lost
        """an exchange is made, and its reply never arrives"""
        self.refused = refused
        """an exchange is not made"""
        self.poison = poison
        """a job's result cannot be stored, nor anything that is sent with it"""
        self.deaf = deaf
        """a heartbeat does not arrive"""


class World:
    """Everything, and the time."""

    def __init__(self, seed: int = 0, faults: Faults | None = None, *, hints: bool = True) -> None:
        self.random = random.Random(seed)
        self.faults = faults or Faults()
        self.hints = hints
        self.now = 0.0
        self.store = MemoryStore(lambda: EPOCH + round(self.now * SECOND))
        self.workers: list[SimulatedWorker] = []
        self.exchanges = 0
        self.reported: set[tuple[int, int]] = set()
        """claims whose outcome a dispatcher took"""
        self._delivered: set[tuple[int, int]] = set()
        self._asked = 0
        self._made = 0
        self._driver = MemoryDriver()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._open: dict[int, int] = {}  # the claims that hold, by the model
        self._holders: dict[int, str] = {}
        self._ends: Counter[str] = Counter()
        self._ids: dict[int, str] = {}
        self._seen: dict[str, Job] = {}
        self._poisoned: set[str] = set()
        self.longest = 2.0
        self.kind = False
        """jobs just complete"""
        self.at(LEASE / 3, self._recover)

    # --- time -------------------------------------------------------------------------------------------------------

    def at(self, moment: float, what: Callable[[], None]) -> None:
        assert moment >= self.now
        heapq.heappush(self._events, (moment, next(self._serial), what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        steps = 0
        while self._events and self._events[0][0] <= end and not until():
            self.now, _, what = heapq.heappop(self._events)
            what()
            steps += 1
            assert steps < 200_000, "too much happens for so little time"
        if not until():
            self.now = end

    # --- the store --------------------------------------------------------------------------------------------------

    def ask(self, plan: Plan[Any]) -> Any:
        self._asked += 1
        if self._asked % 16 == 0:  # not every time: it takes longer than all the rest
            self._check_records()
        return self._driver.run(plan)

    def jobs(self) -> dict[str, Job]:
        return {job.id: job for job in self._driver.run(self.store.find(Filter(), Page(100_000)))}

    def insert(self, count: int, **facts: Any) -> list[str]:
        first, self._made = self._made, self._made + count
        new = []
        for number in range(first, first + count):
            own = {name: value(number) if callable(value) else value for name, value in facts.items()}
            new.append(NewJob(id=f"{number:06}", task=TASK, payload=f"[[{number}],{{}}]", keep_for=10**15,
                              max_crashes=10**6, **own))  # fmt: skip
        self.ask(self.store.insert(new))
        self._poisoned |= {job.id for job in new if self.random.random() < self.faults.poison}
        self.hint()
        return [job.id for job in new]

    def poison(self, id: str) -> None:
        self._poisoned.add(id)

    def hint(self) -> None:
        if self.hints:
            for worker in self.workers:
                worker.soon(0.001, worker.hinted)

    def _recover(self) -> None:
        self.ask(self.store.recover())
        jobs = self.jobs()
        self._open = {ref: fence for ref, fence in self._open.items() if jobs[self._ids[ref]].state == "processing"}
        self.hint()
        self.after(LEASE / 3, self._recover)

    def exchange(self, worker: str, exchange: Exchange) -> Exchanged:
        """Make an exchange, and hold its answer against the model."""
        self.exchanges += 1
        if any(outcome.result == POISON for outcome in exchange.outcomes):
            raise ValueError("a result that cannot be stored")
        self._delivered |= {(outcome.ref, outcome.fence) for outcome in exchange.outcomes}
        expected = [outcome.ref for outcome in exchange.outcomes if not self._close(outcome)]
        if exchange.known is not None:
            for ref in [ref for ref in self._open if self._holders[ref] == worker and ref not in exchange.known]:
                del self._open[ref]
        reply = self.ask(
            self.store.exchange(
                worker,
                exchange.outcomes,
                exchange.wants,
                Routing(frozenset({TASK})),
                exchange.limit,
                exchange.turn,
                exchange.known,
            )
        )
        assert list(reply.refused) == expected, "an outcome was recorded whose claim was lost, or one was refused"
        for claim in reply.claims:
            assert claim.ref not in self._open, "claimed while another claim of it holds"
            self._open[claim.ref] = claim.fence
            self._holders[claim.ref] = worker
            self._ids[claim.ref] = claim.id
        return reply

    def _close(self, outcome: Outcome) -> bool:
        if self._open.get(outcome.ref) != outcome.fence:
            return False
        del self._open[outcome.ref]
        if outcome.verdict in (Verdict.COMPLETED, Verdict.FAILED, Verdict.CANCELLED):
            self._ends[self._ids[outcome.ref]] += 1
        return True

    def _check_records(self) -> None:
        jobs = self.jobs()
        for id, before in self._seen.items():
            now = jobs[id]
            assert (now.args, now.kwargs) == (before.args, before.kwargs), "the arguments were changed"
            assert now.fence >= before.fence, "a fence was reset"
            assert now.errors[: len(before.errors)] == before.errors, "the history was changed"
            assert before.state not in FINAL or now == before, "a final state was left, or changed"
        self._seen = jobs

    def check_the_end(self) -> None:
        """Every job has ended, once."""
        self._check_records()
        jobs = self.jobs()
        assert {id: job.state for id, job in jobs.items() if job.state not in FINAL} == {}, "not ended"
        assert self.reported <= self._delivered, "an outcome was dropped on its way"
        assert self._ends == Counter(list(jobs)), "a job ended twice, or nobody knows how"
        for id in self._poisoned:
            assert jobs[id].state == "failed"
            assert jobs[id].errors[-1].type in {"unstorable", "Error"}
        assert all(jobs[id].state == "completed" or jobs[id].errors for id in jobs)

    # --- what jobs do -----------------------------------------------------------------------------------------------

    def outcome(self, claim: Claim) -> Outcome:
        if claim.id in self._poisoned:
            return Outcome(claim.ref, claim.fence, Verdict.COMPLETED, POISON)
        chance = 1.0 if self.kind else self.random.random()
        failure = Failure(attempt=claim.attempt, type="Error", message="no")
        if chance < 0.08:
            delay = round(self.random.random() * 2 * SECOND)
            return Outcome(claim.ref, claim.fence, Verdict.RETRY, delay=delay, failure=failure)
        if chance < 0.12:
            return Outcome(claim.ref, claim.fence, Verdict.SNOOZED, delay=round(self.random.random() * SECOND))
        if chance < 0.18:
            return Outcome(claim.ref, claim.fence, Verdict.FAILED, failure=failure)
        return Outcome(claim.ref, claim.fence, Verdict.COMPLETED, "1")


class SimulatedWorker:
    """What `worker/loop.py` and `worker/keeper.py` do around a dispatcher, in virtual time."""

    def __init__(
        self, world: World, capacity: int = 4, queues: Mapping[str, int | None] | None = None, *, drain: bool = False
    ) -> None:
        self.world = world
        self.capacity = capacity
        self.queues = queues
        self.dispatcher = Dispatcher(capacity, queues, drain=drain, turn=world.random.randrange(100))
        self.id: str | None = None
        self.ended = False
        self.turns = 0
        self.executing: dict[tuple[int, int], Claim] = {}
        self.most = 0
        self.stubborn = 0.0
        self._claimed_as: dict[tuple[int, int], str] = {}
        self._held_until = 0.0
        self._flying = False
        self._stalled = False
        self._deferred: list[Callable[[], None]] = []
        self._timer = 0
        world.workers.append(self)
        self._register()
        self.soon(0, self.turn)
        self.soon(LEASE / 3, self._beat)

    # --- events -----------------------------------------------------------------------------------------------------

    def soon(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something happen to this worker; not while it is stalled."""

        def happen() -> None:
            if self.ended:
                return
            if self._stalled:
                self._deferred.append(what)
            else:
                what()

        self.world.after(seconds, happen)

    def stall(self, seconds: float) -> None:
        """The whole process stands still, and then everything happens at once, in any order."""
        if self._stalled or self.ended:
            return
        self._stalled = True
        self.world.after(seconds, self._go_on)

    def _go_on(self) -> None:
        self._stalled = False
        deferred, self._deferred = self._deferred, []
        self.world.random.shuffle(deferred)
        for what in deferred:
            self.soon(0, what)
        self.soon(0, self.turn)

    def hinted(self) -> None:
        self.dispatcher.hinted()
        self.turn()

    def stop(self, grace: float) -> None:
        self.dispatcher.stop(self.world.now, grace)
        self.soon(0, self.turn)

    def quieten(self) -> None:
        self.dispatcher.quieten()
        self.soon(0, self.turn)

    def wake(self) -> None:
        self.dispatcher.wake()
        self.soon(0, self.turn)

    # --- the loop ---------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        if self.ended:
            return
        self.turns += 1
        if self.dispatcher.held and not self._holds(self.id):
            self.dispatcher.hand_back()
        while (claim := self.dispatcher.take()) is not None:
            self._start(claim)
        decision = self.dispatcher.decide(self.world.now)
        self._check(decision)
        for claim in decision.stop:
            self._tell_to_stop(claim)
        if decision.done:
            self.ended = True
            if self.id is not None:
                self.world.ask(self.world.store.retire(self.id))
        elif decision.exchange is not None:
            self._exchange(decision.exchange)
        elif decision.wake_at is not None:
            self._timer += 1
            self.soon(decision.wake_at - self.world.now, self._alarm(self._timer))

    def _alarm(self, number: int) -> Callable[[], None]:
        return lambda: self.turn() if number == self._timer else None

    def _check(self, decision: Decision) -> None:
        now = self.world.now
        if decision.done:
            assert decision.exchange is None
            assert not self._flying
        elif decision.exchange is not None:
            assert not self._flying, "two exchanges under way"
            assert not (self.dispatcher.quiet and decision.exchange.wants), "it asks for jobs, and should be quiet"
            assert sum(want.limit for want in decision.exchange.wants) >= 0
        elif decision.wake_at is None:
            assert self._flying, "asleep for ever"
        else:
            assert decision.wake_at > now, "awake for nothing"

    def _start(self, claim: Claim) -> None:
        key = (claim.ref, claim.fence)
        assert key not in self.executing, "started twice"
        assert not self.dispatcher.stopping, "started while stopping"
        assert not self.dispatcher.quiet, "started while quiet"
        assert self._claimed_as[key] == self.id, "started after its lease was lost"
        for other in self.world.workers:
            if other is not self and any(ref == claim.ref for ref, _ in other.executing) and not other._stalled:
                mine = next(key for key in other.executing if key[0] == claim.ref)
                assert not (other._claimed_as[mine] == other.id and other._holds(other.id)), "run by two at once"
        self.executing[key] = claim
        assert len(self.executing) <= self.capacity, "over capacity"
        self.most = max(self.most, len(self.executing))
        limit = (self.queues or {}).get(claim.queue)
        if limit is not None:
            busy = sum(other.queue == claim.queue for other in self.executing.values())
            assert busy <= limit, "over the queue's limit"
        self.soon(self.world.random.random() * self.world.longest, lambda: self._end(key, self.world.outcome(claim)))

    def _end(self, key: tuple[int, int], outcome: Outcome) -> None:
        claim = self.executing.pop(key, None)
        if claim is None:
            return
        kept = self.dispatcher.finished(claim, outcome)
        if kept:
            self.world.reported.add(key)
        if self._claimed_as[key] != self.id:
            assert not kept, "the end of a lost claim was to be reported"
        self.turn()

    def _tell_to_stop(self, claim: Claim) -> None:
        key = (claim.ref, claim.fence)
        if self.world.random.random() >= self.stubborn:
            released = Outcome(claim.ref, claim.fence, Verdict.RELEASED)
            self.soon(self.world.random.random() * 0.1, lambda: self._end(key, released))

    def _exchange(self, exchange: Exchange) -> None:
        world, chance = self.world, self.world.random
        self._flying = True
        sender = self.id
        if sender is None:
            exchange = Exchange(exchange.outcomes, (), 0, exchange.turn)
        refused, lost = chance.random() < world.faults.refused, chance.random() < world.faults.lost

        def arrive() -> None:
            if refused:
                self.soon(0.01, lambda: self._fail(transient=True))
                return
            try:
                reply = world.exchange(sender or "", exchange)
            except ValueError:
                self.soon(0.001, lambda: self._fail(transient=False))
                return
            for claim in reply.claims:
                self._claimed_as[claim.ref, claim.fence] = sender or ""
            if lost:
                self.soon(1.0, lambda: self._fail(transient=True))
            else:
                self.soon(chance.random() * 0.01, lambda: self._hear(reply, sender))

        world.after(chance.random() * 0.01, arrive)

    def _fail(self, *, transient: bool) -> None:
        self._flying = False
        pause = 0.05 * (0.5 + self.world.random.random())
        self.dispatcher.exchange_failed(self.world.now, transient=transient, pause=pause)
        self.turn()

    def _hear(self, reply: Exchanged, sender: str | None) -> None:
        self._flying = False
        self.dispatcher.exchanged(reply, self.world.now)
        if sender is not None and not reply.alive and sender == self.id:
            self._lose()
        if self.dispatcher.held and not self._holds(sender):
            self.dispatcher.hand_back()
        self.turn()

    # --- the lease --------------------------------------------------------------------------------------------------

    def _register(self) -> None:
        self.id = f"w{next(self.world._serial)}"
        worker = Worker(id=self.id, host="", pid=0, version="", concurrency=self.capacity)
        self.world.ask(self.world.store.register(worker, round(LEASE * SECOND)))
        self._held_until = self.world.now + LEASE
        self.dispatcher.registered()

    def _holds(self, id: str | None) -> bool:
        return id is not None and self.id == id and self.world.now < self._held_until

    def _beat(self) -> None:
        self.soon(LEASE / 3, self._beat)
        if self.id is None:
            return
        if self.world.random.random() < self.world.faults.deaf:
            alive = self.world.now < self._held_until
        else:
            alive = self.world.ask(self.world.store.heartbeat(self.id, (), round(LEASE * SECOND))).alive
            if alive:
                self._held_until = self.world.now + LEASE
        if not alive:
            self._lose()
            self.turn()

    def _lose(self) -> None:
        self.id = None
        for claim in self.dispatcher.lease_lost():
            self._tell_to_stop(claim)
        self.soon(0.1, self._register_again)

    def _register_again(self) -> None:
        if not self.dispatcher.stopping:
            self._register()
            self.turn()


@pytest.fixture(scope="session")
def simulation() -> Any:
    """The classes, for tests that make worlds of their own."""

    class Simulation:
        pass

    made = Simulation()
    made.World, made.Worker, made.Faults, made.LEASE = World, SimulatedWorker, Faults, LEASE  # type: ignore[attr-defined]
    return made
