"""A job's record as people read it: a row of a list, or the whole page of `stoker jobs show`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from stoker import clock
from stoker.app import Stoker
from stoker.cli.text import since, span
from stoker.job import Failure, Job, State
from stoker.printable import clean_json
from stoker.store import QueueInfo, Worker

COLUMNS: Final = ("id", "state", "task", "queue", "attempt", "progress", "when", "note")


def row(job: Job, now: datetime) -> list[str]:
    """The job as one line of a list."""
    return [
        job.id,
        job.state.value,
        job.task,
        job.queue,
        f"{job.attempt}/{job.max_attempts}",
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


def facts(job: Job, reason: str | None) -> list[tuple[str, object]]:
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
        ("tags", ", ".join(job.tags)),
        ("attempt", f"{job.attempt} of {job.max_attempts}"),
        ("crashes", f"{job.crashes} of {job.max_crashes}" if job.crashes else None),
        ("parents", "\n".join(job.parents)),
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
    ]


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
        return "it waits for its parents to finish"
    if job.state is State.SCHEDULED:
        return f"it is due {since(job.run_at, clock.to_datetime(clock.now()))}"
    if job.cancel_requested:
        return "it was told to stop"
    if job.state is not State.QUEUED:
        return None
    if len(app.registry) and job.task not in app.registry:
        return f"this app declares no task {job.task}; it waits for a worker that does"
    return _queue_reason(job, app.queues.list(), app.workers.list())


def _queue_reason(job: Job, queues: Sequence[QueueInfo], workers: Sequence[Worker]) -> str | None:
    if any(queue.paused for queue in queues if queue.name == job.queue):
        return f"the queue {job.queue} is paused: stoker queues resume {job.queue}"
    now = clock.now()
    alive = [worker for worker in workers if worker.lease_until > now]
    if not alive:
        return "no worker is running: stoker worker"
    serving = [worker for worker in alive if not worker.queues or job.queue in worker.queues]
    if not serving:
        return f"no running worker serves the queue {job.queue}"
    if not any(not worker.tags or set(worker.tags) & set(job.tags) for worker in serving):
        return "no running worker takes jobs with its tags"
    return None
