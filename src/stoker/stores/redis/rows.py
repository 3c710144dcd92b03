"""What travels between the store and its scripts: jobs, outcomes and workers, packed and unpacked.

Of a job's record, the stand is what changes, as `parts/stand.lua` packs it; the facts are what never changes, packed
here and carried through untouched. Documents are text in both: no script reads and writes JSON of a user's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct as Layout
from typing import Any, Final

import msgspec
from msgspec import Struct

from stoker.job import Claim, NewJob, Outcome, ParentFailure, State, Verdict
from stoker.store import Command, Fair, Flow, QueueLimit, Worker
from stoker.stores.record import CODES, STATES, Record, entry, list_of, policy_of, strings
from stoker.stores.redis.logs import logged

_HEAD: Final = Layout(">BHhIiiiiqqqqqqq")
"""The numbers of a stand; behind them come worker, queue and task, with NULs between."""

_SHAPED: Final = Layout(">qqqqq")
"""A queue's limit, with when its bucket is full."""

_LEASED: Final = Layout(">qqq")
"""The instants of a worker's entry; behind them comes its introduction."""

FIELDS: Final = 12
"""Columns of a record as `parts/reading.lua` gives them, the id among them."""


class _Facts(Struct, array_like=True):
    payload: str
    owner: str | None
    overrides: str | None
    key: str | None
    tags: tuple[str, ...] | None
    workflow: str | None
    schedule: str | None
    meta: str | None
    limit: str | None
    share: str | None


class _ClaimFacts(Struct, array_like=True, gc=False):
    """As much of the facts as a claim needs."""

    payload: str
    owner: str | None
    overrides: str | None


class _Introduction(Struct, array_like=True):
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    tags: tuple[str, ...]
    concurrency: int


pack = msgspec.msgpack.Encoder().encode
_facts = msgspec.msgpack.Decoder(_Facts).decode
_claim_facts = msgspec.msgpack.Decoder(_ClaimFacts).decode
_introduction = msgspec.msgpack.Decoder(_Introduction).decode


# --- jobs -----------------------------------------------------------------------------------------------------------


def new_row(job: NewJob) -> tuple[Any, ...]:
    """A request as `parts/inserting.lua` reads it."""
    return (
        job.id,
        f"{job.queue}\0{job.task}",
        job.priority,
        job.delay,
        job.run_at,
        job.max_attempts,
        job.max_crashes,
        job.keep_for,
        job.owner,
        job.key,
        job.tags or None,
        job.workflow,
        job.parents or None,
        _POLICIES.index(job.on_parent_failure),
        job.extends,
        None if job.limit is None else msgspec.structs.astuple(job.limit),
        job.share,
        None if job.guard is None else msgspec.structs.astuple(job.guard),
    )


def facts(job: NewJob) -> bytes:
    """Of a request, what never changes."""
    return pack(
        (
            job.payload,
            job.owner,
            job.overrides,
            job.key,
            job.tags or None,
            job.workflow,
            job.schedule,
            job.meta,
            None if job.limit is None else job.limit.key,
            job.share,
        )
    )


def full_row(record: Record) -> tuple[tuple[Any, ...], bytes, bytes]:
    """A record as `restore.lua` reads it, its stand and its facts."""
    tags = list_of(record.tags) or None
    facts = _Facts(
        record.payload,
        record.owner,
        record.overrides,
        record.key,
        tags,
        record.workflow,
        record.schedule,
        record.meta,
        record.limit_key,
        record.share,
    )
    flags = (
        _ASKED * (record.cancelling is not None)
        | _ERRED * (record.error is not None or record.result is not None)
        | _SOURED * record.parent_failed
        | _VOID * (record.result is None)
        | _POLICY * _POLICIES.index(ParentFailure(record.on_parent_failure or ParentFailure.CANCEL))
    )
    head = _HEAD.pack(
        CODES[record.state],
        flags,
        record.priority,
        record.fence,
        record.attempt,
        record.crashes,
        record.max_attempts,
        record.max_crashes,
        0,
        record.keep_for,
        record.run_at,
        record.created_at,
        record.updated_at,
        record.started_at or 0,
        record.finished_at or 0,
    )
    stand = head + f"{record.worker or ''}\0{record.queue}\0{record.task}".encode()
    words = {
        "result": record.result,
        "error": record.error,
        "history": record.errors,
        "progress": None if record.progress is None else repr(record.progress),
        "message": record.message,
        "checkpoint": record.checkpoint,
        "reason": record.cancelling,
    }
    row = (
        record.id,
        record.owner,
        record.key,
        tags,
        record.workflow,
        record.limit_key,
        record.share,
        list_of(record.parents) or None,
        list_of(record.open_parents) or None,
        _given(words),
    )
    return row, stand, pack(facts)


_ASKED: Final = 8
_ERRED: Final = 16
_SOURED: Final = 2048
_POLICY: Final = 8192
_VOID: Final = 32768
"""Of the flags in `parts/stand.lua`, those that a restored record cannot be without."""

_POLICIES: Final = (ParentFailure.CANCEL, ParentFailure.RUN, ParentFailure.HOLD, ParentFailure.ONLY)
"""As two bits of the flags have them."""


def _record_of(id: bytes, fields: Sequence[bytes | None]) -> Record:
    """A record, from its id and its other columns."""
    stand, packed, result, error, errors, progress, message, checkpoint, cancelling, parents, waits_for = fields
    assert stand is not None
    assert packed is not None
    (
        state,
        flags,
        priority,
        fence,
        attempt,
        crashes,
        max_attempts,
        max_crashes,
        ref,
        keep_for,
        run_at,
        created_at,
        updated_at,
        started_at,
        finished_at,
    ) = _HEAD.unpack_from(stand)
    worker, queue, task = stand[_HEAD.size :].decode().split("\0")
    facts = _facts(packed)
    return Record(
        ref=ref,
        id=id.decode(),
        task=task,
        queue=queue,
        payload=facts.payload,
        state=STATES[state],
        priority=priority,
        run_at=run_at,
        max_attempts=max_attempts,
        max_crashes=max_crashes,
        keep_for=keep_for,
        created_at=created_at,
        updated_at=updated_at,
        owner=facts.owner,
        key=facts.key,
        tags=strings(facts.tags or ()),
        overrides=facts.overrides,
        meta=facts.meta,
        parents=_ids(parents),
        workflow=facts.workflow,
        schedule=facts.schedule,
        attempt=attempt,
        crashes=crashes,
        fence=fence,
        worker=worker or None,
        cancelling=_text(cancelling),
        progress=None if progress is None else float(progress),
        message=_text(message),
        checkpoint=_text(checkpoint),
        result=_text(result),
        error=_text(error),
        errors=_text(errors),
        started_at=started_at or None,
        finished_at=finished_at or None,
        on_parent_failure=policy_of(_POLICIES[flags // _POLICY & 3]),
        parent_failed=bool(flags & _SOURED),
        limit_key=facts.limit,
        share=facts.share,
        open_parents=_ids(waits_for),
    )


def records_in(flat: Sequence[Any]) -> dict[bytes, Record]:
    """The records as `parts/reading.lua` gives them, by id: id and columns one after the other."""
    return {
        flat[start]: _record_of(flat[start], flat[start + 1 : start + FIELDS]) for start in range(0, len(flat), FIELDS)
    }


def _ids(joined: bytes | None) -> str | None:
    return strings(joined.decode().split("\0")) if joined else None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


# --- claims and outcomes --------------------------------------------------------------------------------------------


def claims_of(flat: Sequence[bytes | None]) -> Iterator[Claim]:
    """The claims as `exchange.lua` gives them: id, stand, facts and checkpoint, one after the other."""
    unpack, size = _HEAD.unpack_from, _HEAD.size
    parts: Iterator[Any] = iter(flat)
    for id, stand, packed, checkpoint in zip(parts, parts, parts, parts, strict=True):
        _, _, _, fence, attempt, crashes, max_attempts, _, ref, _, _, _, _, _, _ = unpack(stand)
        _, queue, task = stand[size:].decode().split("\0")
        facts = _claim_facts(packed)
        yield Claim(
            ref,
            fence,
            id.decode(),
            task,
            queue,
            facts.payload,
            attempt,
            crashes,
            max_attempts,
            facts.owner,
            None if checkpoint is None else checkpoint.decode(),
            facts.overrides,
        )


def is_plain(outcome: Outcome) -> bool:
    """Whether its result is all that it says."""
    return (
        outcome.verdict is Verdict.COMPLETED
        and outcome.result is not None
        and outcome.progress is None
        and outcome.message is None
        and outcome.checkpoint is None
        and not outcome.log
    )


def consequence(outcome: Outcome) -> dict[str, Any]:
    """An outcome that is not plain, as `parts/ending.lua` reads it."""
    facts: dict[str, Any] = {
        "verdict": outcome.verdict.value,
        "result": outcome.result,
        "delay": outcome.delay,
        "reason": outcome.reason,
        "words": said(outcome.progress, outcome.message, outcome.checkpoint),
        "log": logged(outcome.log),
    }
    failure = outcome.failure
    if failure is not None and outcome.verdict in (Verdict.RETRY, Verdict.FAILED):
        facts["entry"] = entry(failure, None, None)
        facts["error"] = failure.summary
    return {name: value for name, value in facts.items() if value is not None}


def said(progress: float | None, message: str | None, checkpoint: str | None) -> dict[str, str]:
    """What an attempt says, by the columns that keep it."""
    text = None if progress is None else repr(progress)
    return _given({"progress": text, "message": message, "checkpoint": checkpoint})


def _given(columns: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in columns.items() if value is not None}


# --- workers --------------------------------------------------------------------------------------------------------


def introduction(worker: Worker) -> bytes:
    """How a worker introduces itself, as it is kept."""
    return pack(_Introduction(worker.host, worker.pid, worker.version, worker.queues, worker.tags, worker.concurrency))


def worker_of(id: bytes, kept: bytes, running: int, told: bytes | None) -> Worker:
    """A worker as `census.lua` gives it."""
    lease_until, seen_at, started_at = _LEASED.unpack_from(kept)
    facts = _introduction(kept[_LEASED.size :])
    return Worker(
        id=id.decode(),
        host=facts.host,
        pid=facts.pid,
        version=facts.version,
        queues=facts.queues,
        tags=facts.tags,
        concurrency=facts.concurrency,
        started_at=started_at,
        seen_at=seen_at,
        lease_until=lease_until,
        running=running,
        command=command_of(told),
    )


def command_of(told: bytes | None) -> Command | None:
    """What a worker was told, as it is kept."""
    return None if told is None else Command(told.decode())


# --- queues and workflows -------------------------------------------------------------------------------------------

_FAIR: Final = (None, Fair.OWNER, Fair.SHARE)
"""As `parts/shapes.lua` numbers them."""


def queue_limit(limit: QueueLimit) -> dict[str, Any]:
    """A queue's limit as `limit.lua` reads it."""
    return msgspec.structs.asdict(limit) | {"fair": _FAIR.index(limit.fair)}


def queue_limit_of(kept: bytes) -> QueueLimit:
    """A queue's limit as it is kept."""
    concurrency, rate, period, _, fair = _SHAPED.unpack(kept)
    return QueueLimit(None if concurrency < 0 else concurrency, rate or None, period or None, _FAIR[fair])


def flow_of(id: bytes, last: bytes, kept: Sequence[bytes]) -> Flow:
    """A workflow as `flows.lua` gives it."""
    numbers = dict(zip(kept[::2], map(int, kept[1::2]), strict=True))
    first = numbers.pop(b"first")
    counts: dict[State, int] = {STATES[int(code)]: number for code, number in numbers.items()}
    return Flow(id=id.decode(), counts=counts, created_at=first, updated_at=int(last))
