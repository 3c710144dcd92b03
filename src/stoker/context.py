"""What a running task sees of its job."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from stoker.errors import InvalidArguments, WorkflowError
from stoker.job import storable
from stoker.logbook import JobLogger, Logbook


class Context:
    """Facts about the job that is running now, and the words it can send out.

    A parameter annotated `Context` receives it, in sync and async tasks, in every executor. Its methods never block
    and may be called from any thread. What was reported last always arrives: with the job's outcome at the latest.
    """

    __slots__ = (
        "_checkpoint",
        "_lock",
        "_log",
        "_report",
        "_stop",
        "_workflow",
        "app",
        "attempt",
        "deadline",
        "job_id",
        "logbook",
        "max_attempts",
        "message",
        "news",
        "owner",
        "pressing",
        "queue",
        "saved",
        "task",
        "value",
        "workflow_id",
    )

    def __init__(
        self,
        *,
        job_id: str,
        task: str,
        queue: str = "default",
        attempt: int = 1,
        max_attempts: int = 1,
        owner: str | None = None,
        deadline: datetime | None = None,
        checkpoint: str | None = None,
        app: Any = None,
        workflow_id: str | None = None,
        report: Callable[[Context], None] | None = None,
    ) -> None:
        self.job_id = job_id
        """the same in every attempt: use it to make what the task does idempotent"""
        self.task = task
        self.queue = queue
        self.attempt = attempt
        self.max_attempts = max_attempts
        self.owner = owner
        self.deadline = deadline
        """when this attempt times out, as an aware UTC datetime; None: it does not"""
        self.app = app
        self.workflow_id = workflow_id
        """the workflow that the job is a step of"""
        self.value: float | None = None
        self.message: str | None = None
        self.saved: str | None = None
        self.news = False
        self.pressing = False
        """for workers: a checkpoint was saved that is not on its way yet"""
        self.logbook: Logbook | None = None
        """for workers: what was logged and is not on its way yet; None: nothing ever was"""
        self._checkpoint = checkpoint
        self._lock = threading.Lock()
        self._report = report
        self._stop: str | None = None
        self._workflow: Any = None
        self._log: JobLogger | None = None

    def __repr__(self) -> str:
        return f"<Context of {self.task} {self.job_id}, attempt {self.attempt} of {self.max_attempts}>"

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger named after the task (`stoker.task.NAME`) whose records carry the job's id and attempt.

        What it says from INFO up (and below, where that logger is enabled for it) is kept with the job as well, one log
        an attempt: its last `LONGEST_LOG` characters. See `app.jobs.logs`.
        """
        if self._log is None:
            facts: Mapping[str, object] = {"job_id": self.job_id, "attempt": self.attempt, "task": self.task}
            self._log = JobLogger(logging.getLogger(f"stoker.task.{self.task}"), facts, self._logged)
        return self._log

    def _logged(self, lines: str) -> None:
        self.keep(lines)
        self._tell()

    def keep(self, lines: str) -> None:
        """For workers: have these lines kept with the job."""
        if self.logbook is None:
            with self._lock:
                self.logbook = self.logbook or Logbook()
        self.logbook.add(lines)

    def take_log(self) -> str | None:
        """For workers: what was logged since the last time, to be sent now."""
        return None if self.logbook is None else self.logbook.take()

    def put_log_back(self) -> None:
        """For workers: what was taken last was not sent."""
        if self.logbook is not None:
            self.logbook.put_back()

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report how far the job is: `done` of `total`, or a fraction from 0.0 to 1.0 without `total`.

        Values outside are taken as the nearer end. Reports are sent a few times a second; those between are skipped,
        the last one never is.
        """
        fraction = float(done / total) if total else (1.0 if total == 0 else float(done))
        self.value = min(1.0, max(0.0, fraction)) if fraction == fraction else None  # noqa: PLR0124 - NaN
        if message is not None:
            self.message = storable(str(message))
        self._tell()

    @property
    def checkpoint(self) -> Any:
        """The last value given to `save`, in this attempt or one before; None at first."""
        return None if self._checkpoint is None else msgspec.json.decode(self._checkpoint)

    def save(self, checkpoint: Any) -> None:
        """Keep a JSON value from which a later attempt can go on. It is sent to the store at once, aside."""
        try:
            text = msgspec.json.encode(checkpoint).decode()
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidArguments(f"ctx.save() takes a JSON value: {error}") from error
        self._checkpoint = self.saved = text
        self.pressing = True
        self._tell()

    def _tell(self) -> None:
        self.news = True
        if self._report is not None:
            self._report(self)

    @property
    def workflow(self) -> Any:
        """The workflow that the job is a step of, to add steps to: see `stoker.workflow.Running`.

        Raises `WorkflowError` where it is not part of one.
        """
        if self.workflow_id is None or self.app is None:
            raise WorkflowError(
                f"job {self.job_id} is not a step of a workflow; enqueue it with chain, batch or Workflow"
            )
        if self._workflow is None:
            self._workflow = self.app.workflows.running(self)
        return self._workflow

    @property
    def cancelled(self) -> bool:
        """Whether the job should stop: it was cancelled, timed out, its worker is stopping, or its lease is lost."""
        return self._stop is not None

    def raise_if_cancelled(self) -> None:
        """Raise `asyncio.CancelledError` if the job should stop. It passes through `except Exception`."""
        if self._stop is not None:
            raise asyncio.CancelledError(self._stop)

    def stop(self, reason: str) -> None:
        """For workers: ask the task to stop. The first reason stays."""
        if self._stop is None:
            self._stop = reason

    @property
    def stop_reason(self) -> str | None:
        """For workers: why the task was asked to stop."""
        return self._stop
