"""What is measured of workflows, limits and schedules, on any store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bench.measuring import Facts, Measure, jobs, rounds, seconds

Alone = Callable[..., Facts]
"""Runs a verb of a side in an empty place."""


def flow(alone: Alone) -> dict[str, Facts]:
    """Each in an empty place: the cost of a job in a workflow, under a limit, and of schedules that are not due."""

    def side(*words: Any) -> Measure:
        return partial(alone, "flow", *words)

    return rounds(
        {
            "chain of 1,000": side("run_chain", jobs(1000)),
            "batch of 100": side("run_batch", 100),
            "batch of 1,000": side("run_batch", jobs(1000)),
            "batch of 10,000": side("run_batch", jobs(10_000)),
            "batch of 10,000, results gathered": side("run_gather", jobs(10_000)),
            "drain, plain": side("drain", "plain", jobs(20_000)),
            "drain, one limit": side("drain", "limited", jobs(20_000)),
            "drain, 1,000 limits": side("drain", "keyed", jobs(20_000)),
            "drain, turns of 100 owners": side("drain", "shared", jobs(20_000)),
            "single job behind 20,000 of another, no turns": side("tenant", False, jobs(20_000)),
            "single job behind 20,000 of another, fair": side("tenant", True, jobs(20_000)),
            "idle with 10,000 schedules": side("schedules", jobs(10_000), seconds(10)),
        }
    )
