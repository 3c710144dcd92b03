"""What happens in a worker, as typed events. Logging, metrics and tracing hang off these.

Nothing is emitted for a job that just completes, unless a sink asks for it: the hot path stays free of log calls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from msgspec import Struct

from stoker.job import Claim, Outcome, Verdict


class WorkerStarted(Struct, frozen=True):
    """A worker is ready to claim."""

    worker: str
    place: str
    tasks: int
    concurrency: int


class WorkerQuieted(Struct, frozen=True):
    """A worker was told to claim no more; what runs goes on."""

    worker: str
    running: int


class WorkerWoken(Struct, frozen=True):
    """A worker that was quiet claims again."""

    worker: str


class WorkerStopping(Struct, frozen=True):
    """A worker claims no more."""

    worker: str
    running: int
    grace: float


class WorkerStopped(Struct, frozen=True):
    """A worker is gone; everything it held was settled or given back."""

    worker: str


class JobEnded(Struct, frozen=True):
    """An attempt ended."""

    claim: Claim
    outcome: Outcome


class JobsDropped(Struct, frozen=True):
    """Jobs of a store that does not outlive this process were not finished."""

    ids: Sequence[str]


class LeaseLost(Struct, frozen=True):
    """The worker could not renew its lease in time; its running jobs were told to stop and count as crashed."""

    worker: str
    running: int


class StoreFailed(Struct, frozen=True):
    """The store did not answer; what is unsettled is kept and tried again."""

    error: Exception
    unsettled: int


class StoreBack(Struct, frozen=True):
    """The store answers again."""

    failures: int


class JobsRecovered(Struct, frozen=True):
    """Jobs of dead workers were given back, or failed at their crash cap."""

    queued: int
    failed: int


class LoopBlocked(Struct, frozen=True):
    """Something keeps the event loop from turning: sync code in an async task."""

    seconds: float
    stack: str


class HookFailed(Struct, frozen=True):
    """A hook of the app raised; the job goes on as if it had not."""

    hook: str
    error: BaseException


class SchedulerStarted(Struct, frozen=True):
    """A scheduler looks after the schedules; `declared` are of its own app."""

    place: str
    declared: int


class SchedulerStopped(Struct, frozen=True):
    """A scheduler is gone."""


class SchedulerDied(Struct, frozen=True):
    """A scheduler ended without having been told to; this process enqueues no more ticks."""

    error: BaseException


class ScheduleFailed(Struct, frozen=True):
    """A schedule that this process cannot serve; the others go on."""

    schedule: str
    error: Exception


Event = (
    WorkerStarted
    | WorkerQuieted
    | WorkerWoken
    | WorkerStopping
    | WorkerStopped
    | JobEnded
    | JobsDropped
    | LeaseLost
    | StoreFailed
    | StoreBack
    | JobsRecovered
    | LoopBlocked
    | HookFailed
    | SchedulerStarted
    | SchedulerStopped
    | SchedulerDied
    | ScheduleFailed
)

Sink = Callable[[Event], None]

_log = logging.getLogger("stoker.worker")


def log(event: Event) -> None:  # noqa: C901 - one line for each event
    """The sink that writes to the logger `stoker.worker`."""
    match event:
        case WorkerStarted(worker, place, tasks, concurrency):
            _log.info("worker %s started on %s: %d tasks, %d at once", worker, place, tasks, concurrency)
        case WorkerQuieted(worker, running):
            _log.info("worker %s was told to be quiet: it claims no more, %d running jobs go on", worker, running)
        case WorkerWoken(worker):
            _log.info("worker %s was woken: it claims again", worker)
        case WorkerStopping(worker, running, grace):
            _log.info("worker %s is stopping: %d jobs running, up to %g s for them", worker, running, grace)
        case WorkerStopped(worker):
            _log.info("worker %s stopped", worker)
        case JobEnded(claim, outcome):
            _log_end(claim, outcome)
        case JobsDropped(ids):
            _log.warning("%d jobs were dropped with the process that held them: %s", len(ids), ", ".join(ids))
        case LeaseLost(worker, running):
            _log.error(
                "worker %s lost its lease: %d running jobs are told to stop, others may run them", worker, running
            )
        case StoreFailed(error, unsettled):
            _log.error("the store does not answer, %d outcomes are kept and tried again: %s", unsettled, error)
        case StoreBack(failures):
            _log.warning("the store answers again, after %d failures", failures)
        case JobsRecovered(queued, failed):
            _log.warning("jobs of dead workers: %d queued again, %d failed after too many crashes", queued, failed)
        case LoopBlocked(seconds, stack):
            _log.warning("the event loop has been blocked for %.1f s; run this in a thread:\n%s", seconds, stack)
        case HookFailed(hook, error):
            _log.error("hook %s failed", hook, exc_info=error)
        case SchedulerStarted(place, declared):
            _log.info("scheduler started on %s: %d schedules declared", place, declared)
        case SchedulerStopped():
            _log.info("scheduler stopped")
        case SchedulerDied(error):
            _log.critical("the scheduler died, this process enqueues no more by schedule", exc_info=error)
        case ScheduleFailed(schedule, error):
            _log.error("the schedule %r is not served by this process: %s", schedule, error)


def _log_end(claim: Claim, outcome: Outcome) -> None:
    failure = outcome.failure.summary if outcome.failure else outcome.reason or ""
    level = {
        Verdict.FAILED: logging.ERROR,
        Verdict.CRASHED: logging.ERROR,
        Verdict.RETRY: logging.WARNING,
        Verdict.COMPLETED: logging.DEBUG,
    }.get(outcome.verdict, logging.INFO)
    _log.log(level, "%s %s %s on attempt %d %s", claim.task, claim.id, outcome.verdict.value, claim.attempt, failure)
