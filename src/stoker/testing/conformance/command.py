"""What `Store.command` promises: what people tell workers."""

from __future__ import annotations

import pytest

from stoker.store import Command
from stoker.testing.conformance.rig import LEASE, Rig


def tell(rig: Rig, command: Command | None, worker: str = "worker") -> bool:
    """Tell the worker something."""
    return rig.run(rig.store.command(worker, command))


def told(rig: Rig, worker: str = "worker") -> Command | None:
    """What the census says that it was told."""
    known = rig.worker(worker)
    assert known is not None
    return known.command


def test_at_first_a_worker_is_told_nothing(rig: Rig) -> None:
    rig.hire()
    assert (rig.hear().command, rig.beat().command, told(rig)) == (None, None, None)


@pytest.mark.parametrize("command", Command)
def test_it_hears_what_it_is_told(rig: Rig, command: Command) -> None:
    rig.hire()
    rig.hire("other")
    assert tell(rig, command)
    assert (rig.hear().command, rig.beat().command, told(rig)) == (command, command, command)
    assert (rig.hear("other").command, told(rig, "other")) == (None, None)


def test_the_last_command_counts(rig: Rig) -> None:
    rig.hire()
    for command in (Command.QUIET, Command.STOP, None):
        assert tell(rig, command)
        assert (rig.hear().command, told(rig)) == (command, command)


def test_orders_to_cancel_are_heard_as_well(rig: Rig) -> None:
    claim = rig.begin()
    rig.cancel(claim.id)
    tell(rig, Command.QUIET)
    orders = rig.hear()
    assert (orders.command, list(orders.cancel)) == (Command.QUIET, [(claim.ref, claim.fence)])


def test_it_lasts_while_the_worker_lives(rig: Rig) -> None:
    rig.hire()
    tell(rig, Command.QUIET)
    rig.advance(LEASE - 1)
    assert rig.beat(lease=LEASE).command is Command.QUIET
    rig.hire(concurrency=5)
    assert rig.hear().command is Command.QUIET


def test_nobody_is_told_who_is_not_alive(rig: Rig) -> None:
    assert not tell(rig, Command.STOP, "nobody")
    rig.hire()
    rig.advance(LEASE)
    assert not tell(rig, Command.STOP)
    assert rig.hear().command is None
    rig.hire()
    assert (rig.hear().command, told(rig)) == (None, None)
    rig.lose("worker")
    assert not tell(rig, Command.STOP)


def test_a_worker_that_was_forgotten_begins_anew(rig: Rig) -> None:
    rig.hire()
    tell(rig, Command.STOP)
    rig.lose("worker")
    assert rig.hear().command is None
    rig.hire()
    assert (rig.hear().command, told(rig)) == (None, None)


def test_a_command_that_is_repeated_changes_nothing(rig: Rig) -> None:
    rig.hire()
    assert tell(rig, Command.QUIET)
    before = rig.workers()
    assert tell(rig, Command.QUIET)
    assert rig.workers() == before
