"""Every store in lockstep with the memory store, through all verbs, on one clock that may stand still or step back.

`pytest tests/agreement --hypothesis-profile=deep` looks for longer.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

import places
from agreement.lockstep import EVERYTHING, Pair
from stoker.audit_store import Entry
from stoker.clock import SECOND, IdSource, to_instant
from stoker.job import Failure, Guard, Limit, NewJob, ParentFailure, State, Verdict
from stoker.schedule import Put, Schedule
from stoker.store import Action, Change, Command, Facet, Filter, Page, QueueLimit, Routing, Want, Worker
from stoker.tally_store import MINUTE, Tally

LEASE = 15 * SECOND
WORDS = ("progress", "message", "checkpoint", "log")
EVERY_TASK = Routing(tasks=frozenset({"t1", "t2", "t3"}))


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def few(element: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[list[Any]]:
    return st.lists(element, max_size=most)


picks = st.integers(0, 4) | st.integers(0, 50)
"""Which of the things so far, counted from the newest."""

workers = some("w1", "w2", "w1", "w2", "w3", "stranger")
queues = some("a", "b", "ü")
tasks = some("t1", "t2", "t3")
tags = some("x", "y", "z'%")
owners = some(None, "u1", "u'2")
keys = some(None, None, "k1", "k2", 'k"3')
payloads = some("[[],{}]", '[["Needle"],{}]', '[["100%_"],{"ü":[1.5,null]}]')
limits = st.integers(0, 4)
spans = some(0, 0, 1, SECOND, LEASE, 60 * SECOND)

limited = (
    Limit("one", concurrency=1),
    Limit("two", concurrency=2),
    Limit("two", concurrency=1),
    Limit("slow", rate=2, period=10 * SECOND),
    Limit("slow", rate=1, period=SECOND),
    Limit("both", 2, 3, 20 * SECOND),
    Limit("both"),
)
guards = (
    Guard("g1", 5 * SECOND, last=True),
    Guard("g1", 0, last=True),
    Guard("g2", 5 * SECOND, last=False),
    Guard("g1", SECOND, last=False),
)
queue_limits = some(
    QueueLimit(),
    QueueLimit(concurrency=2),
    QueueLimit(rate=2, period=10 * SECOND),
    QueueLimit(3, 2, SECOND),
)
"""without turns: of jobs that are queued at once, each store gives them in an order of its own"""

facts = st.fixed_dictionaries(
    {
        "task": tasks,
        "payload": payloads,
        "queue": queues,
        "priority": some(0, 0, 1, -1, 100),
        "delay": some(0, 0, 0, 0, 0, 1, SECOND, LEASE),
        "max_attempts": st.integers(1, 3),
        "max_crashes": st.integers(1, 3),
        "keep_for": spans,
        "owner": owners,
        "key": keys,
        "tags": few(tags, 2).map(tuple),
        "workflow": some(None, "flow"),
        "schedule": some(None, "nightly"),
        "meta": some(None, '{"m":1}'),
        "overrides": some(None, '{"timeout":5}'),
        "on_parent_failure": st.sampled_from(ParentFailure),
        "limit": some(*[None] * 6, *limited),
        "share": some(None, "s1", "s2"),
        "guard": some(*[None] * 12, *guards),
    }
)
words = st.just((None, None, None, None)) | st.tuples(
    some(None, None, 0.0, 0.25, 1.0),
    some(None, None, "", "half"),
    some(None, None, "[1]", '"p"'),
    some(None, None, "", "line\n", "ü" * 3, "LONG"),
)
failures = some(None, ("ValueError", "no"), ("E", "two\nlines"), ("E", ""))
plain = some("1", '{"r":"ü"}', None).map(lambda result: {"verdict": Verdict.COMPLETED, "result": result})
outcomes = plain | st.fixed_dictionaries(
    {
        "verdict": st.sampled_from(Verdict),
        "result": some(None, "1", '{"r":"ü"}'),
        "delay": spans,
        "failure": failures.map(lambda f: f and Failure(attempt=7, type=f[0], message=f[1], traceback="t")),
        "reason": some(None, "", "because"),
    }
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "ids": few(picks, 3),
        "states": few(st.sampled_from(State), 3).map(tuple),
        "queue": queues,
        "task": tasks,
        "tag": tags,
        "owner": some("u1", "u'2", "nobody"),
        "workflow": some("flow", "%"),
        "key": some("k1", 'k"3'),
        "text": some("needle", "%", "_", "ü", "", "'"),
        "idle_for": spans,
    },
)
routings = st.builds(
    Routing,
    tasks=some(frozenset({"t1", "t2", "t3"}), frozenset({"t1"}), frozenset({"t2", "t3"}), frozenset()),
    tags=some(None, None, frozenset({"x"}), frozenset({"x", "z'%"}), frozenset()),
    untagged=st.booleans(),
)
wants = few(st.builds(Want, some(None, None, "a", "b", "ü"), limits), 3)


class Agreement(RuleBasedStateMachine):
    """Answers are compared at every step, and so are all the records."""

    store: str

    def __init__(self) -> None:
        super().__init__()
        self.end = ExitStack()
        folder = self.end.enter_context(tempfile.TemporaryDirectory())
        self.pair = Pair(self.end.enter_context(places.fresh(self.store, Path(folder))))
        self.end.callback(self.pair.close)
        self.new_id = IdSource(lambda: self.pair.now)
        self.ids: list[str] = []
        self.dumped: list[Any] = []
        self.tokens: list[int] = []
        self.entries: list[str] = []
        self.seen: dict[str, int] = {}
        self.moves = 0
        """how many moves of the table the last step may have made of one job"""

    def teardown(self) -> None:
        self.end.close()

    @initialize()
    def hire_some(self) -> None:
        for worker in ("w1", "w2"):
            self.register(worker, 10 * LEASE, 1)

    # --- a job's life -----------------------------------------------------------------------------------------------

    @rule(
        jobs=st.lists(
            st.tuples(
                some(*[None] * 4, 0, 1, 2, 7),
                facts,
                some(*[None] * 4, -5, -1, 0, 1),
                some((), (), (), (), (), (), (0,), (1, 3), (0, 2)),
                some(*[None] * 8, 0, 1, 2),
            ),
            max_size=6,
        )
    )
    def insert(self, jobs: list[Any]) -> None:
        made: dict[str, NewJob] = {}
        batch = []
        for pick, job, when, parents, extended in jobs:
            id = self.new_id() if pick is None or not self.ids else self.known(pick)
            run_at = None if when is None else self.pair.now + when * SECOND
            if id not in made:  # the same id twice in a call means the same request
                made[id] = NewJob(
                    id=id,
                    run_at=run_at,
                    parents=tuple(self.kin(pick, made) for pick in parents),
                    extends=None if extended is None else self.known_claim(extended),
                    **job,
                )
            batch.append(made[id])
        self.moves = 3  # put off by debounce; or what waits for a new job that ended at once
        self.pair.ask(lambda store: store.insert(batch))
        self.ids += [id for id in made if id not in self.ids]

    @rule(
        worker=workers,
        settled=few(st.tuples(picks, outcomes, words)),
        wants=wants,
        routing=routings,
        limit=st.integers(0, 8),
        turn=st.integers(0, 5),
    )
    def exchange(
        self, worker: str, settled: list[Any], wants: list[Want], routing: Routing, limit: int, turn: int
    ) -> None:
        named = [
            (claim, told | dict(zip(WORDS, words, strict=True)))
            for claim, (_, told, words) in zip(self.past_claims(settled), settled, strict=False)
        ]
        self.moves = 4  # given back or released, due again and claimed
        self.pair.exchange(worker, named, wants, routing, limit, turn)

    @rule(worker=some("w1", "w2"), turn=st.integers(0, 5), limit=st.integers(1, 8), jobs=st.lists(facts, max_size=4))
    def work(self, worker: str, turn: int, limit: int, jobs: list[dict[str, Any]]) -> None:
        """Jobs come, and a worker that is surely alive takes some: without this, too little would ever be held."""
        self.insert([(None, job, None, (), None) for job in jobs])
        self.register(worker, 10 * LEASE, 1)
        self.pair.exchange(worker, [], [Want(None, limit)], EVERY_TASK, limit, turn)
        self.moves = 5

    @precondition(lambda self: self.pair.claims)
    @rule(settled=st.lists(st.tuples(picks, outcomes, words), min_size=1, max_size=5))
    def settle(self, settled: list[Any]) -> None:
        self.exchange("w1", settled, [], Routing(tasks=frozenset()), 0, 0)

    @precondition(lambda self: self.pair.claims)
    @rule(
        pick=picks,
        verdict=some(Verdict.RELEASED, Verdict.RETRY, Verdict.CRASHED),
        again=st.booleans(),
        late=outcomes,
        words=words,
    )
    def settle_late(self, pick: int, verdict: Verdict, again: bool, late: dict[str, Any], words: Any) -> None:
        """A claim is given back, perhaps claimed again, and then its first holder wakes up."""
        (lost,) = self.past_claims([(pick,)])
        self.pair.exchange("w1", [(lost, {"verdict": verdict})])
        if again:
            self.register("w2", 10 * LEASE, 1)
            self.pair.exchange("w2", [], [Want(None, 50)], EVERY_TASK, 50)
        self.pair.exchange("w1", [(lost, late | dict(zip(WORDS, words, strict=True)))])
        self.moves = 7

    # --- workers ----------------------------------------------------------------------------------------------------

    @rule(worker=workers, lease=some(LEASE, 10 * LEASE, 1), concurrency=st.integers(1, 3))
    def register(self, worker: str, lease: int, concurrency: int) -> None:
        facts = Worker(id=worker, host="höst", pid=1, version="1", tags=("x",), concurrency=concurrency)
        self.moves = 0
        self.pair.ask(lambda store: store.register(facts, lease))

    @rule(worker=workers, reports=few(st.tuples(picks, words)), lease=some(None, LEASE, 10 * LEASE))
    def heartbeat(self, worker: str, reports: list[Any], lease: int | None) -> None:
        told = [(claim, words) for claim, (_, words) in zip(self.past_claims(reports), reports, strict=False)]
        self.moves = 0
        self.pair.heartbeat(worker, told, lease)

    @rule(worker=workers)
    def hear(self, worker: str) -> None:
        self.moves = 0
        self.pair.hear(worker)

    @rule(worker=workers, command=some(None, *Command))
    def command(self, worker: str, command: Command | None) -> None:
        self.moves = 0
        self.pair.ask(lambda store: store.command(worker, command))

    @rule(worker=workers)
    def retire(self, worker: str) -> None:
        self.moves = 0
        self.pair.ask(lambda store: store.retire(worker))

    @rule(limit=some(0, 1, 2, 1000))
    def recover(self, limit: int) -> None:
        self.moves = 2
        self.pair.ask(lambda store: store.recover(limit))

    # --- operators --------------------------------------------------------------------------------------------------

    @rule(limit=some(0, 1, 2, 1000))
    def prune(self, limit: int) -> None:
        self.moves = 2  # who held for a failure that is gone
        self.pair.ask(lambda store: store.prune(limit))

    @rule(
        action=st.sampled_from(Action),
        which=filters,
        reason=some(None, "", "person"),
        priority=some(0, 5, -5),
        limit=some(None, None, 0, 1, 2),
    )
    def amend(
        self, action: Action, which: dict[str, Any], reason: str | None, priority: int, limit: int | None
    ) -> None:
        chosen = self.filter(which)
        change = Change(action, reason=reason, priority=priority)
        if not self.pair.in_order():  # which jobs a limited call takes first is the store's
            limit = None
        expected = self.pair.ask(lambda store: store.eligible(chosen, change))
        self.moves = 2
        if limit and action is Action.RETRY:  # which of twins a limited call takes is the store's; the end is not
            self.retry_in_steps(chosen, change, limit, expected)
            return
        changed = self.pair.ask(lambda store: store.amend(chosen, change, limit))
        assert changed == (expected if limit is None else min(expected, limit))

    def retry_in_steps(self, chosen: Filter, change: Change, limit: int, expected: int) -> None:
        frozen = Filter(ids=tuple(job.id for job in self.pair.ask(lambda store: store.find(chosen, EVERYTHING))))
        for side in (self.pair.oracle, self.pair.other):
            total = 0
            while (changed := side.run(side.store.amend(frozen, change, limit))) > 0:
                assert changed <= limit
                total += changed
            assert total == expected

    @rule(queue=queues, paused=some(True, False, False, False))
    def pause(self, queue: str, paused: bool) -> None:
        self.moves = 0
        self.pair.ask(lambda store: store.pause(queue, paused))

    @rule(which=filters, forgotten=st.booleans(), deleted=st.booleans())
    def dump(self, which: dict[str, Any], forgotten: bool, deleted: bool) -> None:
        chosen = self.filter(which)
        jobs = self.pair.ask(lambda store: store.find(chosen, Page(limit=5)))
        self.dumped = [replace(job, worker=None) if forgotten else job for job in jobs] + self.dumped[:5]
        if deleted:
            named = Filter(ids=tuple(job.id for job in jobs))
            self.pair.ask(lambda store: store.amend(named, Change(Action.DELETE)))
        self.moves = 2

    @rule(picked=few(picks, 5))
    def restore(self, picked: list[int]) -> None:
        jobs = [self.dumped[pick % len(self.dumped)] for pick in picked if self.dumped]
        self.moves = 2
        self.pair.ask(lambda store: store.restore(jobs))

    @rule(queue=queues, limit=queue_limits)
    def limit(self, queue: str, limit: QueueLimit) -> None:
        self.moves = 0
        self.pair.ask(lambda store: store.limit(queue, limit))

    # --- schedules and locks ----------------------------------------------------------------------------------------

    @rule(
        names=few(some("s1", "s2", "s3"), 3),
        stale=some(0, 0, 0, 1),
        next_in=some(None, -SECOND, 0, 1, LEASE),
        ticks=st.lists(st.lists(facts, max_size=2), min_size=3, max_size=3),
    )
    def put_schedules(self, names: list[str], stale: int, next_in: int | None, ticks: list[Any]) -> None:
        found = {one.name: one for one in self.pair.ask(lambda store: store.schedules.read()).schedules}
        puts = []
        for name, jobs in zip(names, ticks, strict=False):
            known = found.get(name, Schedule(name, "{}"))
            made = tuple(NewJob(id=self.new_id(), **facts | {"schedule": name}) for facts in jobs)
            next_at = None if next_in is None else self.pair.now + next_in
            document = f'{{"n":{len(self.ids)}}}'
            puts.append(Put(Schedule(name, document, next_at, max(0, known.version - stale)), made))
            self.ids += [job.id for job in made]
        self.moves = 3
        self.pair.ask(lambda store: store.schedules.put(puts))

    @rule(name=some("s1", "s2"), limit=limits)
    def drop_or_read_schedules(self, name: str, limit: int) -> None:
        self.moves = 0
        self.pair.ask(lambda store: store.schedules.due(limit))
        self.pair.ask(lambda store: store.schedules.drop(name))
        self.pair.ask(lambda store: store.schedules.read())

    @rule(name=some("l1", "l2"), holder=some("h1", "h2"), ttl=some(1, SECOND, LEASE), how=st.integers(0, 5))
    def lock(self, name: str, holder: str, ttl: int, how: int) -> None:
        self.moves = 0
        if how == 0 and self.tokens:
            self.pair.ask(lambda store: store.locks.release(name, self.tokens[-1]))
        elif how == 1 and self.tokens:
            self.pair.ask(lambda store: store.locks.renew(name, self.tokens[-1], ttl))
        else:
            grant = self.pair.ask(lambda store: store.locks.acquire(name, holder, ttl))
            self.tokens += [grant.token] if grant.token is not None else []

    # --- what surfaces keep ------------------------------------------------------------------------------------------

    @rule(
        added=few(
            st.builds(
                Tally,
                queue=queues,
                completed=st.integers(0, 2),
                failed=st.integers(0, 1),
                retried=st.integers(0, 1),
                cancelled=st.integers(0, 1),
            ),
            3,
        ),
        span=some(0, 1, MINUTE, 10 * MINUTE),
        step=some(MINUTE, 2 * MINUTE, 5 * MINUTE),
    )
    def tally(self, added: list[Tally], span: int, step: int) -> None:
        self.moves = 0
        self.pair.ask(lambda store: store.tallies.add(added))
        self.pair.ask(lambda store: store.tallies.read(span, step))

    @rule(count=some(None, 0, 7), detail=some(None, '{"a":1}'), again=st.booleans(), limit=limits, before=st.booleans())
    def note(self, count: int | None, detail: str | None, again: bool, limit: int, before: bool) -> None:
        if not (again and self.entries):
            self.entries.append(self.new_id())
        entry = Entry(id=self.entries[-1], who="ü", action="cancel jobs", target="x'", count=count, detail=detail)
        self.moves = 0
        self.pair.ask(lambda store: store.audit.write(entry))
        self.pair.ask(lambda store: store.audit.read(limit, self.entries[-1] if before else None))

    @rule(name=some("n1", "n2"), value=some("v1", "v2"))
    def keep(self, name: str, value: str) -> None:
        self.moves = 0
        self.pair.ask(lambda store: store.keep(name, value))

    # --- readers and time -------------------------------------------------------------------------------------------

    @rule(
        which=filters,
        limit=limits,
        before=st.none() | picks,
        after=st.none() | st.none() | st.just("") | picks,
        by=st.sampled_from(Facet),
    )
    def read(self, which: dict[str, Any], limit: int, before: int | None, after: int | str | None, by: Facet) -> None:
        chosen = self.filter(which)
        page = Page(
            limit,
            None if before is None else self.known(before),
            self.known(after) if isinstance(after, int) else after,
        )
        self.moves = 0
        self.pair.ask(lambda store: store.find(chosen, page))
        self.pair.ask(lambda store: store.count(chosen, by))
        self.pair.ask(lambda store: store.flows(page=page))
        self.pair.ask(lambda store: store.results(self.ids[-5:]))

    @rule(queue=queues, limit=limits, anew=st.booleans())
    def watch(self, queue: str, limit: int, anew: bool) -> None:
        """What changed since the last look, of all that there was then."""
        self.moves = 0
        self.pair.ask(lambda store: store.changes(self.seen))
        if anew:
            self.seen = {id: to_instant(job.updated_at) for id, job in self.pair.jobs.items()}
        self.pair.ask(lambda store: store.front(queue, limit))
        self.pair.ask(lambda store: store.totals())
        for id in [*self.ids[-3:], *{claim.id for claim, _ in self.pair.claims[-8:]}]:
            self.pair.ask(lambda store, id=id: store.logs(id))

    @rule(span=some(1, SECOND, 5 * SECOND, LEASE - 1, LEASE, 60 * SECOND, -SECOND))
    def pass_time(self, span: int) -> None:
        self.moves = 0
        self.pair.now += span

    @invariant()
    def same_records(self) -> None:
        self.pair.compare(self.moves)
        self.pair.compare_census()

    # --- what came before -------------------------------------------------------------------------------------------

    def known(self, pick: int) -> str:
        return self.ids[-1 - pick % len(self.ids)] if self.ids else "nobody"

    def kin(self, pick: int, made: dict[str, NewJob]) -> str:
        """A parent: of the same call if there is one, or any other that ever was."""
        return [*made][-1 - pick % len(made)] if made else self.known(pick)

    def known_claim(self, pick: int) -> str:
        """A job that was claimed, and may still be processing."""
        return self.pair.claims[-1 - pick % len(self.pair.claims)][0].id if self.pair.claims else self.known(pick)

    def past_claims(self, picked: list[Any]) -> list[Any]:
        """Claims that ever were, the newest more often: most are held, some are stale, some come twice."""
        past = self.pair.claims
        return [past[-1 - pick % len(past)] for pick, *_ in picked] if past else []

    def filter(self, which: dict[str, Any]) -> Filter:
        if "ids" in which:
            which = which | {"ids": tuple(map(self.known, which["ids"]))}
        return Filter(**which)


@pytest.mark.parametrize("store", ["sqlite-normal", "postgres", "redis"])
def test_the_store_agrees_with_the_memory_store(store: str) -> None:
    run_state_machine_as_test(type(store, (Agreement,), {"store": store}), settings=settings())
