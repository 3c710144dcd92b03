"""The facts of a job's life: what is enqueued, what is stored, what a worker holds, what becomes of it.

All of these are frozen values without handles: a job knows no store, app or queue. Instants and spans are microseconds
(see `clock`), except in `Job` and `Failure`, which are made for people and carry aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct


class State(StrEnum):
    """Where a job is in its life, as people see it."""

    WAITING = "waiting"
    """for other jobs"""
    SCHEDULED = "scheduled"
    """for a time"""
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
"""States that only a person's retry leaves."""

LIVE: Final = frozenset(State) - FINAL
"""States of unfinished jobs; these hold their key."""

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.SCHEDULED, State.QUEUED, State.CANCELLED}),
    State.SCHEDULED: frozenset({State.QUEUED, State.CANCELLED}),
    State.QUEUED: frozenset({State.PROCESSING, State.SCHEDULED, State.CANCELLED}),
    State.PROCESSING: frozenset({State.QUEUED, State.SCHEDULED, *FINAL}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset({State.QUEUED, State.WAITING}),
    State.CANCELLED: frozenset({State.QUEUED, State.WAITING}),
}
"""Every move that a store may make. Deleting is not a move."""


class ParentFailure(StrEnum):
    """What it means to a waiting job that one of its parents ended badly: failed, cancelled, or deleted unfinished."""

    CANCEL = "cancel"
    """it is cancelled"""
    RUN = "run"
    """nothing: it runs once all have ended"""
    HOLD = "hold"
    """it goes on waiting: for a person to retry the parent"""
    ONLY = "only"
    """that it is needed: it runs once all have ended, and is cancelled if all completed"""


PARENT_FAILED: Final = "a job that this one waited for did not complete"
"""The error of a job that was cancelled for its parent."""
NOT_NEEDED: Final = "not needed: every job that this one waited for completed"
"""The error of a job that was there for a failure."""


class Limit(Struct, frozen=True):
    """How many jobs of one kind may be processed at once, and how many begun in a while. The latest one counts."""

    key: str
    """jobs with the same key share the limit, whatever their queues"""
    concurrency: int | None = None
    rate: int | None = None
    """with `period`: a token bucket that holds `rate` and is refilled evenly, as many in a period"""
    period: int | None = None
    """span"""


class Guard(Struct, frozen=True):
    """Makes one job of many requests."""

    name: str
    span: int
    last: bool
    """True (debounce): a request that comes before the job began takes its place, and puts it off; False (throttle):
    of all requests within a span, the first counts"""


class NewJob(Struct, frozen=True, kw_only=True):
    """A request to run a task once: what an app gives to a store."""

    id: str
    """a UUIDv7 as text, made by the app; inserting the same id twice changes nothing"""
    task: str
    payload: str
    """`[args, kwargs]` as JSON"""
    queue: str = "default"
    priority: int = 0
    """-100 to 100, higher first"""
    delay: int = 0
    """span from the store's present to when the job is due; ignored when `run_at` is given"""
    run_at: int | None = None
    """instant from which the job is due"""
    max_attempts: int = 1
    max_crashes: int = 3
    keep_for: int
    """span for which the record is kept after the job's end"""
    owner: str | None = None
    key: str | None = None
    """at most one unfinished job has it"""
    tags: tuple[str, ...] = ()
    overrides: str | None = None
    """the worker's options that this job changes (timeout, backoff, …) as JSON; a store only carries them"""
    meta: str | None = None
    """JSON of the caller's own; a store only carries it"""
    parents: tuple[str, ...] = ()
    """ids of the jobs that must end first; of the same call, only ones that stand before it"""
    on_parent_failure: ParentFailure = ParentFailure.CANCEL
    extends: str | None = None
    """id of a job that is processing: whatever waits for that one will wait for this one as well"""
    workflow: str | None = None
    schedule: str | None = None
    limit: Limit | None = None
    share: str | None = None
    """whose turn it takes in a queue that is fair by argument"""
    guard: Guard | None = None


LONGEST_MESSAGE: Final = 4_000
"""Characters of a message that are kept."""


def storable(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """A person's text as every store can hold it: of a sensible length, without NUL and halves of characters."""
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}\n… {len(text) - longest:,} characters left out …\n{text[-half:]}"
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def is_storable(text: str) -> bool:
    """Whether every store can hold it as it is. What is not storable names nothing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


class Inserted(Struct, frozen=True):
    """What an insert says of one job."""

    id: str
    created: bool
    """False: an unfinished job with the same key (or the same id) was there, or its guard made none of it; `id` is that
    one's. It is '' where the job that this one `extends` is not processing any more"""


class Claim(Struct, frozen=True, array_like=True, gc=False):
    """A job that one worker may run now. `(ref, fence)` names this very claim; no other claim ever has both."""

    ref: int
    """the store's own handle of the job's record"""
    fence: int
    """grows at every claim of that job and is never reset"""
    id: str
    task: str
    queue: str
    payload: str
    attempt: int
    """counts this attempt"""
    crashes: int
    max_attempts: int
    owner: str | None = None
    checkpoint: str | None = None
    overrides: str | None = None


class Failure(Struct, frozen=True, kw_only=True):
    """One failed attempt, as it is kept in the job's history."""

    attempt: int
    type: str
    """the exception's qualified type name; `crashed` when the worker was taken down"""
    message: str
    traceback: str | None = None
    worker: str | None = None
    at: datetime | None = None

    @property
    def summary(self) -> str:
        """One line that says what went wrong."""
        text = f"{self.type}: {self.message}" if self.message else self.type
        first = text.split("\n", 1)[0]
        return first if len(first) <= 500 else first[:499] + "…"


def crash_failure(attempt: int, crashes: int) -> Failure:
    """The entry of a job that reached its `max_crashes`."""
    times = "once" if crashes == 1 else f"{crashes} times"
    message = f"the process that ran this job died or lost its lease, {times}"
    return Failure(attempt=attempt, type="crashed", message=message)


# --- endings: what the code did -------------------------------------------------------------------------------------


class Returned(Struct, frozen=True, tag=True, tag_field="kind", gc=False):
    """The task returned."""

    result: str
    """its value as JSON"""


class Raised(Struct, frozen=True, tag=True, tag_field="kind"):
    """The task raised an exception, ran out of time, or returned what has no JSON."""

    type: str
    message: str
    traceback: str | None = None
    lineage: tuple[str, ...] = ()
    """qualified names of the exception's type and of its bases, for `retry_on` and `fail_on`"""


class AskedRetry(Struct, frozen=True, tag=True, tag_field="kind"):
    """The task raised `Retry`."""

    raised: Raised
    after: int | None = None
    """span; None: the task's backoff decides"""


class AskedSnooze(Struct, frozen=True, tag=True, tag_field="kind"):
    """The task raised `Snooze`."""

    span: int


class AskedCancel(Struct, frozen=True, tag=True, tag_field="kind"):
    """The task raised `Cancel`, or a person's order to cancel stopped it."""

    reason: str | None = None


class Interrupted(Struct, frozen=True, tag=True, tag_field="kind"):
    """The worker is stopping and the task did not end, or did not start, in time."""


class Died(Struct, frozen=True, tag=True, tag_field="kind"):
    """The process that ran the task is gone."""

    message: str


Ending = Returned | Raised | AskedRetry | AskedSnooze | AskedCancel | Interrupted | Died
"""What the code did. `retry.judge` makes an `Outcome` of it."""


# --- outcomes: what becomes of the job ------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What a settled claim leads to."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRY = "retry"
    """a failed attempt that is followed by another"""
    SNOOZED = "snoozed"
    """later; the attempt is not counted"""
    RELEASED = "released"
    """back at once; the attempt is not counted"""
    CRASHED = "crashed"
    """counted as a crash: queued again, or failed once `max_crashes` is reached"""


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What becomes of a claimed job. A store records it only while `(ref, fence)` is the job's claim."""

    ref: int
    fence: int
    verdict: Verdict
    result: str | None = None
    """JSON, with `COMPLETED`"""
    delay: int = 0
    """span, with `RETRY` and `SNOOZED`"""
    failure: Failure | None = None
    """with `RETRY` and `FAILED`; `worker` and `at` are filled in by the store. A crash's is made by the store itself"""
    reason: str | None = None
    """with `CANCELLED`"""
    progress: float | None = None
    message: str | None = None
    checkpoint: str | None = None
    """JSON; these three are the attempt's last words, None where it said nothing new"""
    log: str | None = None
    """what it logged since its last report"""


class Progress(Struct, frozen=True):
    """What a running attempt reports between claim and settle."""

    ref: int
    fence: int
    progress: float | None = None
    message: str | None = None
    checkpoint: str | None = None
    log: str | None = None
    """what it logged since its last report"""


# --- records: what people read --------------------------------------------------------------------------------------


LONGEST_LOG: Final = 65_536
"""Characters that are kept of what one attempt logged, from its end."""
LOGS_KEPT: Final = 20
"""Attempts of one job whose logs are kept."""


class Log(Struct, frozen=True, kw_only=True):
    """What one attempt logged."""

    attempt: int
    """as it was counted when the job was claimed"""
    fence: int
    """tells apart attempts that have the same number because one was taken back"""
    text: str
    """lines, the last `LONGEST_LOG` characters of them"""


class Job(Struct, frozen=True, kw_only=True):
    """A job's record, as it was when it was read."""

    id: str
    task: str
    queue: str
    args: Sequence[Any]
    """as JSON values; never changed by a run"""
    kwargs: Mapping[str, Any]
    state: State
    priority: int
    owner: str | None
    key: str | None
    tags: tuple[str, ...]
    attempt: int
    """attempts begun, crashed ones included; a snooze or a clean stop takes its own back"""
    max_attempts: int
    crashes: int
    max_crashes: int
    progress: float | None
    """0.0 to 1.0, or None where the task reports none"""
    message: str | None
    result: Any
    """as a JSON value"""
    error: str | None
    """why it failed, last failed, or was cancelled: one line"""
    errors: tuple[Failure, ...]
    """one entry per failed attempt, oldest first"""
    checkpoint: Any
    meta: Any
    overrides: Any
    """the worker's options that this job changes"""
    parents: tuple[str, ...]
    """all the jobs that had to end first"""
    workflow: str | None
    schedule: str | None
    worker: str | None
    """who runs it, or ran it last"""
    created_at: datetime
    run_at: datetime
    """when it is, or was, due"""
    started_at: datetime | None
    """when the present or last attempt was claimed"""
    finished_at: datetime | None
    updated_at: datetime
    keep_for: float
    """seconds for which the record is kept after the end"""
    fence: int = 0
    cancel_requested: bool = False
    """processing, and told to stop"""
    on_parent_failure: ParentFailure = ParentFailure.CANCEL
    open_parents: tuple[str, ...] = ()
    """those of its parents that it still waits for, sorted"""
    parent_failed: bool = False
    """waiting, and one of its parents ended badly"""
    limit: str | None = None
    """the key of its limit"""
    share: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL

    @property
    def unneeded(self) -> bool:
        """Whether it was there for a failure, and was cancelled because there was none."""
        return self.state is State.CANCELLED and self.on_parent_failure is ParentFailure.ONLY
