"""Outcomes as databases read them: the many that are alike, and the few that say more."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.job import Outcome, Verdict, storable
from stoker.stores.record import entry


def is_plain(outcome: Outcome) -> bool:
    """Whether the outcome is the common one: completed, with a result and no last words."""
    return (
        outcome.verdict is Verdict.COMPLETED
        and outcome.result is not None
        and outcome.progress is None
        and outcome.message is None
        and outcome.checkpoint is None
    )


def consequence(outcome: Outcome) -> dict[str, Any]:
    """An outcome of any kind as fields; `worker` and `at` of the entry are filled in by the database.

    Its log is not among them: see `sayings`.
    """
    facts: dict[str, Any] = msgspec.structs.asdict(outcome)
    failure = facts.pop("failure")
    del facts["log"]
    if failure is not None and outcome.verdict in (Verdict.RETRY, Verdict.FAILED):
        facts["entry"] = entry(failure, None, None)
        facts["error"] = storable(failure.summary)
    return facts
