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


def guarded(new: NewJob, key: str, identity: Identity) -> NewJob:
    """The same request with the key as the job's own, and remembered for a day. Keys of two owners never meet.

    A task that is debounced or throttled has a guard of its own, which stays: then the key holds while the job is
    unfinished.
    """
    if not 1 <= len(key) <= _LONGEST or not key.isprintable():
        raise Problem(422, "invalid-idempotency-key", f"an Idempotency-Key has 1 to {_LONGEST} printable characters")
    kept = stored_key(key, identity)
    guard = new.guard or Guard(f"idempotency {kept}", _SPAN, last=False)
    return replace(new, key=new.key or kept, guard=guard)


def is_replay(job: Job, new: NewJob) -> bool:
    """Whether the job is what this request asked for when it came before."""
    args, kwargs = msgspec.json.decode(new.payload)
    return job.task == new.task and [*job.args] == args and {**job.kwargs} == kwargs
