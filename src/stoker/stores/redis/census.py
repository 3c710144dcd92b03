"""What stands in a Redis store, as it is counted there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from stoker.clock import SECOND
from stoker.job import LIVE, State
from stoker.store import Census, QueueInfo, QueueLimit
from stoker.stores.record import STATES
from stoker.stores.redis.rows import queue_limit_of, worker_of


def counts_of(flat: Sequence[bytes]) -> list[tuple[State, str, str, int]]:
    """Numbers of jobs as they are kept, by state, queue and task."""
    counts = []
    for name, number in zip(flat[::2], flat[1::2], strict=True):
        queue, _, task = name[1:].decode().partition("\0")
        counts.append((STATES[int(name[:1])], queue, task, int(number)))
    return counts


def census_of(answer: Sequence[Any]) -> Census:
    """The answer of `census.lua`."""
    now, known, paused, counts, due, workers, running, shaped, told = answer
    limits = {name.decode(): queue_limit_of(kept) for name, kept in _pairs(shaped)}
    queues: dict[str, Counter[State]] = {name.decode(): Counter() for name in known}
    for state, queue, _, number in counts_of(counts):
        if state in LIVE:
            queues.setdefault(queue, Counter())[state] += number
    oldest: dict[str, int] = {}
    for line, first in _pairs(due):
        queue = line.decode().partition("\0")[0]
        oldest[queue] = min(int(first), oldest.get(queue, int(first)))
    closed = {name.decode() for name in paused}
    commands = dict(_pairs(told))
    return Census(
        [
            QueueInfo(
                name=name,
                paused=name in closed,
                limit=limits.get(name, QueueLimit()),
                waiting=states[State.WAITING],
                scheduled=states[State.SCHEDULED],
                queued=states[State.QUEUED],
                processing=states[State.PROCESSING],
                oldest=max(0, int(now) - oldest[name]) / SECOND if name in oldest else None,
            )
            for name, states in sorted(queues.items())
        ],
        sorted(
            (
                worker_of(id, kept, held, commands.get(id))
                for (id, kept), held in zip(_pairs(workers), running, strict=True)
            ),
            key=lambda worker: (worker.started_at, worker.id),
        ),
    )


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
