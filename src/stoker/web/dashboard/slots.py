"""The slots of workers."""

from __future__ import annotations

from stoker.store import Worker


def occupied(worker: Worker) -> int:
    """How many of its slots run a job: never more than it has, though it may hold jobs that it claimed ahead."""
    return min(worker.running, worker.concurrency)
