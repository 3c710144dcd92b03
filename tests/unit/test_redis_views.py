"""What the Redis store keeps for those who watch: in stretches, in indexes that may be older than they, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

import places
from stoker.clock import IdSource, to_instant
from stoker.connect import connect
from stoker.job import LOGS_KEPT, LONGEST_LOG, Claim, Limit, NewJob, Outcome, Progress, Verdict
from stoker.plan import Plan, Reply, Statement, pump
from stoker.store import Action, Change, Filter, Page, Routing, Want, Worker

DAY = 24 * 3600 * 1_000_000
ONE = Limit("one", concurrency=1)
new_id = IdSource()


def new(**facts: object) -> NewJob:
    return NewJob(**{"id": new_id(), "task": "t", "payload": "[[],{}]", "keep_for": DAY} | facts)


class Place:
    """A migrated store at a fresh prefix, and the keys that lie there."""

    def __init__(self, url: str) -> None:
        self.store, self.driver = connect(url)
        self.client = Redis.from_url(url.partition("?")[0])
        self.prefix = url.partition("prefix=")[2]
        self.scripts = 0
        self.driver.run(self.store.migrate())

    def run(self, plan: Plan):
        """Run it, and count its scripts."""
        self.scripts = 0

        def execute(statement: Statement) -> Reply:
            self.scripts += 1
            return self.driver._execute(statement, writes=plan.writes)

        return pump(plan, execute)

    def key(self, name: str) -> str:
        return f"{{{self.prefix}}}:{name}"

    def insert(self, *jobs: NewJob) -> list[str]:
        assert all(answer.created for answer in self.run(self.store.insert(jobs)))
        return [job.id for job in jobs]

    def claim(self, limit: int = 1) -> list[Claim]:
        self.run(self.store.register(Worker(id="w", host="h", pid=1, version="1", concurrency=9), DAY))
        wants = [Want("default", limit)]
        return list(self.run(self.store.exchange("w", (), wants, Routing(frozenset({"t"})), limit)).claims)

    def close(self) -> None:
        self.client.close()
        self.driver.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with places.fresh("redis", tmp_path) as url:
        made = Place(url)
        yield made
        made.close()


# --- the front of a line --------------------------------------------------------------------------------------------


def test_a_line_of_many_tasks_is_put_together_from_stretches(place):
    first = [new(task="rare", limit=ONE if number % 2 else None) for number in range(200)]
    others = [new(task=f"t{number % 30}") for number in range(90)]
    expected = place.insert(*first, *others)
    assert place.run(place.store.front("default")) == expected
    assert place.run(place.store.front("default", 150)) == expected[:150]
    assert place.scripts > 1, "the test has too few jobs to need more than one"
    assert place.run(place.store.front("default", 1)) == expected[:1]


def test_what_an_older_version_left_in_the_line_is_passed_over(place):
    ids = place.insert(*[new(limit=ONE) for _ in range(3)])
    limited = place.key("limited:default\0t")
    before = place.client.zrange(limited, 0, -1)
    assert [claim.id for claim in place.claim()] == ids[:1]
    place.client.zadd(limited, dict.fromkeys(before, 0))
    assert place.run(place.store.front("default")) == ids[1:]


def test_limits_of_before_are_taken_into_the_line_by_the_migration(place):
    jobs = [new(task="tü", tags=("a",) if number % 2 else (), limit=Limit(f"k{number % 3}", 1)) for number in range(9)]
    ids = place.insert(*jobs, new())
    limited = place.key("limited:default\0tü")
    kept = place.client.zrange(limited, 0, -1, withscores=True)
    place.client.delete(limited)
    place.client.set(place.key("schema"), 1)
    assert place.run(place.store.pending()) == ["0002_views"]
    assert place.run(place.store.front("default")) != ids
    assert place.run(place.store.migrate()) == ["0002_views"]
    assert place.client.zrange(limited, 0, -1, withscores=True) == kept
    assert place.run(place.store.front("default")) == ids


def test_a_recovery_puts_right_who_is_missing_in_the_line(place):
    ids = place.insert(*[new(limit=ONE) for _ in range(3)])
    place.client.delete(place.key("limited:default\0t"))
    place.run(place.store.recover())
    assert place.run(place.store.front("default")) == ids
    assert [claim.id for claim in place.claim(9)] == ids[:1]


# --- many at once ---------------------------------------------------------------------------------------------------


def test_no_script_reads_more_than_some_hundred_records_that_changed(place):
    ids = place.insert(*[new() for _ in range(600)])
    found = place.run(place.store.changes(dict.fromkeys(ids, 0) | {"nobody": 0}))
    assert [job.id for job in found.jobs] == ids
    assert found.gone == ["nobody"]
    assert place.scripts == 3
    seen = {job.id: to_instant(job.updated_at) for job in found.jobs}
    assert place.run(place.store.changes(seen)).jobs == []
    assert place.scripts == 1


def test_a_text_is_looked_for_in_some_megabytes_at_a_time(place):
    ids = place.insert(*[new(payload=f'[["{"x" * 900_000}{number}"],{{}}]') for number in range(12)])
    which = Filter(text="x7")
    assert [job.id for job in place.run(place.store.find(which, Page(9)))] == [ids[7]]
    assert place.scripts > 2
    assert place.run(place.store.count(which)) == {"queued": 1}
    assert place.run(place.store.eligible(Filter(text="x"), Change(Action.CANCEL))) == 12
    assert place.run(place.store.amend(which, Change(Action.CANCEL))) == 1
    assert place.run(place.store.count(Filter(ids=tuple(ids), text="x7"))) == {"cancelled": 1}


def test_tallies_of_many_queues_are_read_in_stretches(place):
    from stoker.tally_store import MINUTE, Tally

    told = [Tally(queue=f"q{number:04}", completed=number + 1) for number in range(2500)]
    place.run(place.store.tallies.add(told))
    found = place.run(place.store.tallies.read(MINUTE, DAY))
    assert [(tally.queue, tally.completed) for tally in found] == [(tally.queue, tally.completed) for tally in told]
    assert place.scripts == 2


def test_a_long_audit_log_is_read_in_stretches(place):
    from stoker.audit_store import Entry

    ids = [new_id() for _ in range(1010)]
    for id in ids:
        place.run(place.store.audit.write(Entry(id=id, who="ada", action="a", target="t")))
    assert [entry.id for entry in place.run(place.store.audit.read(2000))] == ids[::-1]
    assert place.scripts == 2


# --- logs -----------------------------------------------------------------------------------------------------------


def test_no_more_of_a_log_is_kept_than_is_read(place):
    place.insert(new())
    (claim,) = place.claim()
    piece = "ü" * 1000
    for _ in range(100):
        place.run(place.store.heartbeat("w", [Progress(claim.ref, claim.fence, log=piece)]))
    assert place.client.zcard(place.key(f"log:{claim.id}")) == 66
    place.run(place.store.heartbeat("w", [Progress(claim.ref, claim.fence, log="y" * 2 * LONGEST_LOG)]))
    assert place.client.zcard(place.key(f"log:{claim.id}")) == 1
    (log,) = place.run(place.store.logs(claim.id))
    assert log.text == "y" * LONGEST_LOG


def test_no_more_attempts_are_kept_than_are_read(place):
    place.insert(new())
    for _ in range(LOGS_KEPT + 5):
        (claim,) = place.claim()
        outcome = Outcome(claim.ref, claim.fence, Verdict.RELEASED, log=f"{claim.fence}\n")
        place.run(place.store.exchange("w", [outcome]))
    assert place.client.zcard(place.key(f"log:{claim.id}")) == LOGS_KEPT


@pytest.mark.parametrize("how", ["delete", "prune"])
def test_a_log_goes_with_its_job(place, how):
    place.insert(new(keep_for=0))
    (claim,) = place.claim()
    place.run(place.store.exchange("w", [Outcome(claim.ref, claim.fence, Verdict.COMPLETED, result="1", log="a")]))
    assert place.client.exists(place.key(f"log:{claim.id}"))
    if how == "prune":
        assert place.run(place.store.prune()) == 1
    else:
        assert place.run(place.store.amend(Filter(), Change(Action.DELETE))) == 1
    assert not place.client.exists(place.key(f"log:{claim.id}"))


def test_a_job_that_logs_nothing_costs_no_command_more(place):
    """Settling is the hot path: of what logs need, nothing runs, however the job ends."""
    for verdict in Verdict:
        place.insert(new(max_attempts=1))
        (claim,) = place.claim()
        before = calls(place.client)
        place.run(place.store.heartbeat("w", [Progress(claim.ref, claim.fence, 0.5)]))
        place.run(place.store.exchange("w", [Outcome(claim.ref, claim.fence, verdict, result="1")]))
        asked = {name for name, number in calls(place.client).items() if number != before.get(name)}
        assert not asked & {"cmdstat_zcount", "cmdstat_zremrangebyscore", "cmdstat_zremrangebyrank"}
        place.run(place.store.amend(Filter(), Change(Action.CANCEL)))


def calls(client: Redis) -> dict[str, int]:
    return {name: facts["calls"] for name, facts in client.info("commandstats").items()}
