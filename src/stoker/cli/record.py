"""A job's record as people read it: a row of a list, or the whole page of `stoker jobs show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from stoker import clock
from stoker.app import Stoker
from stoker.cli.text import counted, since, span
from stoker.job import Failure, Job, Log, ParentFailure, State
from stoker.printable import clean_json
from stoker.standing import alive
from stoker.store import Command, Filter, Page, QueueInfo, Worker

COLUMNS: Final = ("id", "state", "task", "queue", "attempt", "progress", "when", "note")


def row(job: Job, now: datetime) -> list[str]:
    """The job as one line of a list."""
    return [
        job.id,
        job.state.value,
        job.task,
        job.queue,
        f"{job.attempt}/{job.max_attempts + job.crashes}",
        percent(job.progress),
        when(job, now),
        told(job),
    ]


def percent(progress: float | None) -> str:
    """`40%`, or nothing where the task reports none."""
    return "" if progress is None else f"{progress:.0%}"


def when(job: Job, now: datetime) -> str:
    """The time that matters most in its state."""
    if job.finished_at is not None:
        return since(job.finished_at, now)
    if job.state is State.PROCESSING and job.started_at is not None:
        return f"for {span(max(0.0, (now - job.started_at).total_seconds()))}"
    return since(job.run_at, now)


def told(job: Job) -> str:
    """What it says of itself, or what went wrong."""
    if job.state in (State.FAILED, State.CANCELLED):
        return job.error or ""
    if job.cancel_requested:
        return "told to stop"
    return job.message or (job.error if not job.finished else "") or ""


def as_data(job: Job, logs: Sequence[Log]) -> dict[str, Any]:
    """The job and what it logged, for programs."""
    return {**msgspec.structs.asdict(job), "logs": logs}


def facts(job: Job, reason: str | None, logs: Sequence[Log] = ()) -> list[tuple[str, object]]:
    """Everything about the job, in the order in which one asks."""
    return [
        ("id", job.id),
        ("task", job.task),
        ("state", job.state.value),
        ("", reason),
        ("error", job.error),
        ("progress", percent(job.progress)),
        ("message", job.message),
        ("result", as_json(job.result)),
        ("args", as_json(job.args) if job.args else None),
        ("kwargs", as_json(job.kwargs) if job.kwargs else None),
        ("queue", job.queue),
        ("priority", job.priority or None),
        ("owner", job.owner),
        ("key", job.key),
        ("limit", job.limit),
        ("share", job.share),
        ("tags", ", ".join(job.tags)),
        ("attempt", f"{job.attempt} of {job.max_attempts + job.crashes}"),
        ("crashes", f"{job.crashes} of {job.max_crashes}" if job.crashes else None),
        ("parents", some(job.parents)),
        ("waits for", some(job.open_parents)),
        ("if one fails", None if not job.parents else _POLICIES[job.on_parent_failure]),
        ("workflow", job.workflow),
        ("schedule", job.schedule),
        ("worker", job.worker),
        ("created", _time(job.created_at)),
        ("due", _time(job.run_at) if job.run_at != job.created_at else None),
        ("started", _time(job.started_at)),
        ("finished", _time(job.finished_at)),
        ("took", _took(job)),
        ("kept for", span(job.keep_for)),
        ("checkpoint", as_json(job.checkpoint)),
        ("meta", as_json(job.meta)),
        ("overrides", as_json(job.overrides)),
        *(_entry(failure) for failure in job.errors),
        *((f"log {log.attempt}", log.text.rstrip()) for log in logs),
    ]


_NAMED: Final = 20
"""Ids of parents that are shown of many."""

_POLICIES: Final[Mapping[ParentFailure, str]] = {
    ParentFailure.CANCEL: "it is cancelled",
    ParentFailure.RUN: "it runs all the same",
    ParentFailure.HOLD: "it holds until that one is retried",
    ParentFailure.ONLY: "it runs; else it is not needed",
}


def some(ids: Sequence[str]) -> str:
    """Ids, one a line; of many, the first."""
    more = len(ids) - _NAMED
    return "\n".join(ids) if more <= 0 else "\n".join([*ids[:_NAMED], f"… and {more:,} more"])


def as_json(value: Any) -> str:
    """A JSON value as text that is safe to show; None is nothing."""
    return "" if value is None else clean_json(msgspec.json.encode(value).decode())


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")


def _took(job: Job) -> str | None:
    if job.started_at is None or job.finished_at is None:
        return None
    return f"{(job.finished_at - job.started_at).total_seconds():.3f} s"


def _entry(failure: Failure) -> tuple[str, str]:
    text = failure.traceback.rstrip() if failure.traceback else failure.summary
    where = f" on worker {failure.worker}" if failure.worker else ""
    return f"attempt {failure.attempt}", f"failed {_time(failure.at) or ''}{where}\n{text}"


# --- why it does not run ----------------------------------------------------------------------------------------------


def reason(job: Job, app: Stoker) -> str | None:
    """Why the job is not running yet, where that can be told."""
    if job.state is State.WAITING:
        return _waiting_reason(job, app)
    if job.state is State.SCHEDULED:
        return f"it is due {since(job.run_at, clock.to_datetime(clock.now()))}"
    if job.cancel_requested:
        return "it was told to stop"
    if job.state is not State.QUEUED:
        return None
    if len(app.registry) and job.task not in app.registry:
        return f"this app declares no task {job.task}; it waits for a worker that does"
    return _queue_reason(job, app.queues.list(), app.workers.list())


def _waiting_reason(job: Job, app: Stoker) -> str:
    if job.on_parent_failure is ParentFailure.HOLD:
        ended = Filter(ids=job.open_parents, states=(State.FAILED, State.CANCELLED))
        bad = app.engine.run(app.engine.connection.store.find(ended, Page(1)))
        if bad:
            how = "failed" if bad[0].state is State.FAILED else "was cancelled"
            return f"it holds for a job that {how}: stoker jobs retry {bad[0].id}"
    return f"it waits for {counted(len(job.open_parents), 'other job')} to finish"


def _leaving(workers: Sequence[Worker]) -> str:
    """Why none of these, who were all told something, takes a job."""
    quiet = [worker.id for worker in workers if worker.command is Command.QUIET]
    return (
        f"every worker for it is quiet: stoker workers wake {quiet[0]}" if quiet else "every worker for it is stopping"
    )


def _queue_reason(job: Job, queues: Sequence[QueueInfo], workers: Sequence[Worker]) -> str | None:
    line = next((queue for queue in queues if queue.name == job.queue), QueueInfo(name=job.queue))
    if line.paused:
        return f"the queue {job.queue} is paused: stoker queues resume {job.queue}"
    now = clock.now()
    living = [worker for worker in workers if alive(worker, now)]
    if not living:
        return "no worker is running: stoker worker"
    serving = [worker for worker in living if not worker.queues or job.queue in worker.queues]
    if not serving:
        return f"no running worker serves the queue {job.queue}"
    if not any(not worker.tags or set(worker.tags) & set(job.tags) for worker in serving):
        return "no running worker takes jobs with its tags"
    if all(worker.command is not None for worker in serving):
        return _leaving(serving)
    most = line.limit.concurrency
    if most is not None and line.processing >= most:
        return f"the queue {job.queue} is at its limit: {line.processing:,} of {most:,} are processing"
    return None if job.limit is None else f"it may wait for its limit, which it shares with other jobs: {job.limit}"
