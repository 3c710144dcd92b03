"""When the keeper makes a trip to the store for what a task says, and when that can wait for the next one."""

from __future__ import annotations

import random
from types import SimpleNamespace

from stoker.context import Context
from stoker.worker.keeper import Keeper


def test_progress_after_a_checkpoint_rings_no_bell():
    keeper = Keeper(None, None, None, None, None, lease=15.0, chance=random.Random(0))
    context = Context(job_id="1", task="t", report=lambda _: keeper.report(attempt))
    attempt = SimpleNamespace(claim=SimpleNamespace(ref=1), said=context)

    context.progress(0.1)
    assert not keeper._bell.is_set()
    context.save({"at": 1})
    assert keeper._bell.is_set()

    keeper._bell.clear()
    context.progress(0.2)
    assert not keeper._bell.is_set()
    context.save({"at": 2})
    assert keeper._bell.is_set()
