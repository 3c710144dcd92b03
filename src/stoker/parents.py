"""Whether a step of a workflow can run as far as its parents go: it must not miss the result of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from stoker.job import Job, ParentFailure, State

ENDED_BADLY: Final = {State.FAILED: "failed", State.CANCELLED: "was cancelled"}
"""What a parent that has no result did, in words."""


def needs_results(job: Job) -> bool:
    """Whether it does not run in spite of a parent that ended badly."""
    return job.on_parent_failure in (ParentFailure.CANCEL, ParentFailure.HOLD)


def missed(job: Job, jobs: Mapping[str, Job]) -> Iterator[Job]:
    """Which of these jobs it would miss the results of: parents that ended badly, if it does not run in spite of it."""
    if needs_results(job):
        yield from (jobs[id] for id in job.parents if id in jobs and jobs[id].state in ENDED_BADLY)


def cannot_run(id: str, parent: Job) -> str:
    """In words, why a step cannot run, because of a parent that ended badly."""
    return f"{id} waits for {parent.task} {parent.id}, which {ENDED_BADLY[parent.state]}"
