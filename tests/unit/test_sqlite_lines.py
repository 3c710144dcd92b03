"""How the SQLite store keeps claims fast where there are limits and turns."""

import sqlite3
from contextlib import closing

import pytest

from stoker.clock import SECOND
from stoker.drivers.sqlite import SqliteDriver
from stoker.job import Limit, State
from stoker.store import Fair, QueueLimit
from stoker.stores.record import CODES, PARKED
from stoker.stores.sqlite import SqliteStore
from stoker.stores.sqlite.limits import MOST
from stoker.testing.conformance.rig import DAY, Rig, ids

MANY = 3 * MOST + 10
ONE = Limit("k", concurrency=1)


@pytest.fixture
def rig(tmp_path):
    with Rig(SqliteStore, SqliteDriver(str(tmp_path / "jobs.db"), synchronous="normal")).opened() as rig:
        yield rig


def told(rig, query):
    with closing(sqlite3.connect(rig.driver.place)) as connection:
        return [row[0] for row in connection.execute(query)]


def in_state(rig, code):
    return told(rig, f"SELECT count(*) FROM stoker_jobs WHERE state = {code}")[0]


def test_jobs_over_their_limit_are_out_of_the_way_of_claims(rig):
    rig.enqueue_many(100, limit=ONE)
    assert (in_state(rig, CODES[State.QUEUED]), in_state(rig, PARKED)) == (1, 99)


def test_a_limit_that_is_lifted_does_not_move_all_that_it_held(rig):
    made = rig.enqueue_many(MANY, limit=ONE)
    made.append(rig.enqueue(limit=Limit("k")))
    assert in_state(rig, CODES[State.QUEUED]) == MOST
    rig.hire()
    assert ids(rig.claim()) == made


def test_more_than_stand_where_claims_look_are_claimed_in_order(rig):
    made = [rig.enqueue_many(2, limit=Limit("k")) + rig.enqueue_many(1) for _ in range(MOST)]
    rig.hire()
    assert ids(rig.claim()) == [id for three in made for id in three]


def test_turns_cost_nothing_where_no_queue_is_fair(rig):
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    rig.run(rig.store.limit("a", QueueLimit(fair=Fair.OWNER)))
    rig.run(rig.store.limit("b", QueueLimit(fair=Fair.SHARE)))
    assert len(told(rig, triggers)) == 4
    rig.run(rig.store.limit("a", QueueLimit()))
    assert len(told(rig, triggers)) == 4
    rig.run(rig.store.limit("b", QueueLimit(concurrency=1)))
    assert told(rig, triggers) == []


def test_no_turn_outlives_its_job(rig):
    rig.run(rig.store.limit("default", QueueLimit(fair=Fair.OWNER)))
    made = rig.enqueue_many(6)
    rig.hire()
    rig.claim(limit=2)
    rig.cancel(made[2])
    rig.delete(made[3])
    assert (
        told(rig, "SELECT turn FROM stoker_turns") == told(rig, "SELECT turn FROM stoker_jobs WHERE turn > 0") == [4, 5]
    )


def test_limits_are_forgotten_when_they_were_not_used_for_long(rig):
    kept = rig.enqueue(limit=Limit("kept", concurrency=1), delay=365 * DAY)
    rig.enqueue(limit=Limit("gone", concurrency=1))
    rig.delete(*(id for id in rig.find() if id != kept))
    rig.run(rig.store.prune())
    assert told(rig, "SELECT key FROM stoker_limits") == ["gone", "kept"]
    rig.advance(90 * DAY + SECOND)
    rig.run(rig.store.prune())
    assert told(rig, "SELECT key FROM stoker_limits") == ["kept"]


def test_a_retried_job_whose_limit_was_forgotten_is_claimed(rig):
    id = rig.enqueue(limit=ONE, keep_for=1000 * DAY)
    rig.cancel(id)
    rig.advance(91 * DAY)
    rig.run(rig.store.prune())
    rig.retry(id)
    rig.hire()
    assert ids(rig.claim()) == [id]
