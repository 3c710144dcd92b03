"""Idempotency-Key: of several equal requests, one job; also once that job has finished."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from stoker.clock import SECOND
from stoker.job import Guard, Job, NewJob
from stoker.web.identity import Identity
from stoker.web.present import stored_key
from stoker.web.problem import Problem

_SPAN: Final = 24 * 3600 * SECOND
"""For how long a key is remembered after its first request."""
_LONGEST: Final = 200
_NAME: Final = "idempotency "


def guarded(new: NewJob, key: str, identity: Identity) -> NewJob:
    """The same request with the key as the job's own, and remembered for a day. Keys of two owners never meet.

    A task that is debounced or throttled has a guard of its own, which stays: then the key holds while the job is
    unfinished. So it does for a job that was given a key of its own besides.
    """
    if not 1 <= len(key) <= _LONGEST or not key.isprintable():
        raise Problem(422, "invalid-idempotency-key", f"an Idempotency-Key has 1 to {_LONGEST} printable characters")
    kept = stored_key(key, identity)
    guard = new.guard or Guard(f"{_NAME}{kept}", _SPAN, last=False)
    return replace(new, key=new.key or kept, guard=guard)


def contradicts(job: Job, new: NewJob) -> bool:
    """Whether the job that stands in the place of this guarded request shows that its key was used for another one.

    The job may be there for another reason: the task's own guard, or the key that the request gives to its job. Then
    it is the answer, whatever it was made of.
    """
    assert new.guard is not None
    if new.guard.last:  # it took what a later request says
        return False
    ours = new.guard.name.startswith(_NAME)
    if not ours and job.key != new.key:
        return False
    if ours and new.guard.name != f"{_NAME}{new.key}" and job.key == new.key and not job.finished:
        return False
    return not _asks_for(job, new)


def _asks_for(job: Job, new: NewJob) -> bool:
    args, kwargs = msgspec.json.decode(new.payload)
    made = (job.task, job.queue, job.owner, job.key, job.tags, job.meta, [*job.args], {**job.kwargs})
    return made == (new.task, new.queue, new.owner, new.key, new.tags, _value(new.meta), args, kwargs)


def _value(text: str | None) -> object:
    return None if text is None else msgspec.json.decode(text)
