"""What stores keep of logs in pieces: no more than can be read, and nothing of jobs that are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

import places
from stoker.connect import connect
from stoker.job import LOGS_KEPT, LONGEST_LOG, Progress, Verdict
from stoker.testing.conformance.rig import Rig, failure, verdict

PIECE = 1000

Kept = Callable[[], tuple[int, int]]
"""How many pieces there are, and how many characters."""


@pytest.fixture(params=["sqlite-normal", "postgres"])
def rig_and_kept(request: pytest.FixtureRequest, tmp_path) -> Iterator[tuple[Rig, Kept]]:
    with places.fresh(request.param, tmp_path) as url:
        driver = connect(url).driver

        def kept() -> tuple[int, int]:
            query = "SELECT count(*), coalesce(sum(length(text)), 0) FROM "
            if request.param == "postgres":
                pieces, size = places.postgres().sql(f"{query} {url.rpartition('=')[2]}.logs").split("|")
                return int(pieces), int(size)
            with closing(sqlite3.connect(driver.place)) as connection:
                return connection.execute(f"{query} stoker_logs").fetchone()

        with Rig(lambda clock: connect(url, clock).store, driver).opened() as rig:
            yield rig, kept


def test_pieces_that_cannot_be_read_any_more_are_gone(rig_and_kept):
    rig, kept = rig_and_kept
    claim = rig.begin()
    for _ in range(2 * LONGEST_LOG // PIECE):
        rig.beat("worker", Progress(claim.ref, claim.fence, log="x" * PIECE))
    assert LONGEST_LOG <= kept()[1] < LONGEST_LOG + PIECE


def test_so_are_those_of_attempts_that_are_too_long_ago(rig_and_kept):
    rig, kept = rig_and_kept
    claim = rig.begin(max_attempts=100)
    for _ in range(LOGS_KEPT + 5):
        rig.settle(verdict(claim, Verdict.RETRY, failure=failure(claim), log="y"))
        (claim,) = rig.claim()
    assert kept() == (LOGS_KEPT, LOGS_KEPT)


def test_a_single_piece_is_no_longer_than_can_be_read(rig_and_kept):
    rig, kept = rig_and_kept
    claim = rig.begin()
    rig.beat("worker", Progress(claim.ref, claim.fence, log="x" * 3 * LONGEST_LOG))
    rig.beat("worker", *[Progress(claim.ref, claim.fence, log="y" * LONGEST_LOG) for _ in range(3)])
    assert kept() == (1, LONGEST_LOG)


def test_nothing_is_kept_of_a_job_that_is_deleted_or_pruned(rig_and_kept):
    rig, kept = rig_and_kept
    deleted, pruned, stays = rig.begin(), rig.begin(keep_for=0), rig.begin()
    rig.settle(*(verdict(claim, Verdict.COMPLETED, result="1", log="text") for claim in (deleted, pruned, stays)))
    assert kept() == (3, 12)
    rig.delete(deleted.id)
    assert kept() == (2, 8)
    assert rig.run(rig.store.prune()) == 1
    assert kept() == (1, 4)
