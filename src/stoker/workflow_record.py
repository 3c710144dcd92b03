"""The record of a workflow, as people read it: made of what its jobs tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from stoker.clock import to_datetime
from stoker.job import FINAL, State
from stoker.store import Flow


class WorkflowRecord(Struct, frozen=True, kw_only=True):
    """A workflow, as it was when it was read."""

    id: str
    state: State
    """`completed`, `failed` or `cancelled` once all of its jobs have ended; a failure counts before a cancellation"""
    progress: float
    """the share of its jobs that have ended, 0.0 to 1.0"""
    counts: Mapping[State, int]
    """its jobs by state"""
    total: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    """when the last of its jobs ended"""

    @property
    def finished(self) -> bool:
        """Whether all of its jobs have ended."""
        return self.state in FINAL


def record_of(flow: Flow) -> WorkflowRecord:
    """The record of a workflow whose jobs were counted."""
    counts = flow.counts
    total = sum(counts.values())
    ended = sum(count for state, count in counts.items() if state in FINAL)
    updated_at = to_datetime(flow.updated_at)
    return WorkflowRecord(
        id=flow.id,
        state=_state(counts, ended, total),
        progress=ended / total if total else 1.0,
        counts=counts,
        total=total,
        created_at=to_datetime(flow.created_at),
        updated_at=updated_at,
        finished_at=updated_at if ended == total else None,
    )


def _state(counts: Mapping[State, int], ended: int, total: int) -> State:
    if ended == total:
        return next((state for state in (State.FAILED, State.CANCELLED) if counts.get(state)), State.COMPLETED)
    if counts.get(State.PROCESSING) or (ended and counts.get(State.QUEUED)):
        return State.PROCESSING
    return next(state for state in (State.QUEUED, State.SCHEDULED, State.WAITING) if counts.get(state))
