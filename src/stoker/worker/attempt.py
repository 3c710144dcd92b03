"""One attempt at a job: the claim, what it needs to run, and the order to stop it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import msgspec

from stoker import clock
from stoker.context import Context
from stoker.errors import Cancel, InvalidArguments, Retry, Snooze, WorkflowError
from stoker.job import (
    LONGEST_MESSAGE,
    AskedCancel,
    AskedRetry,
    AskedSnooze,
    Claim,
    Ending,
    Interrupted,
    Outcome,
    Raised,
    Returned,
    Verdict,
    storable,
)
from stoker.options import Executor, Options
from stoker.retry import judge, lineage, type_name
from stoker.step import filled, needs
from stoker.task import Task

CANCELLED = "cancelled"
TIMED_OUT = "timed out"
STOPPING = "the worker is stopping"
LOST = "the lease was lost"

_LONGEST_TRACEBACK = 32_000
_DEEPEST_TRACEBACK = 100


class Attempt:
    """One attempt at a job in this process."""

    __slots__ = (
        "_context",
        "_interrupt",
        "_missing",
        "app",
        "claim",
        "ended",
        "executor",
        "options",
        "reason",
        "report",
        "task",
    )

    def __init__(self, claim: Claim, task: Task, app: Any, report: Callable[[Attempt], None] | None) -> None:
        self.claim = claim
        self.task = task
        if claim.overrides is None:
            self.options: Options = task.options
            self.executor: Executor = task.executor
        else:
            self.options = task.options_of(claim.overrides)
            self.executor = task.executor_of(self.options)
        self.app = app
        self.report = report
        self.reason: str | None = None
        self.ended = False
        self._context: Context | None = None
        self._interrupt: Callable[[], object] | None = None
        self._missing: WorkflowError | None = None

    @property
    def said(self) -> Context | None:
        """The context, if the task was given one."""
        return self._context

    @property
    def logged(self) -> bool:
        """Whether the task has ever logged something."""
        return self._context is not None and self._context.logbook is not None

    @property
    def context(self) -> Context:
        """What the task sees; made when it is first wanted, because most tasks do not look."""
        if self._context is None:
            claim = self.claim
            timeout = self.options.timeout
            self._context = Context(
                job_id=claim.id,
                task=claim.task,
                queue=claim.queue,
                attempt=claim.attempt,
                max_attempts=claim.max_attempts,
                owner=claim.owner,
                deadline=None if timeout is None else clock.to_datetime(clock.now() + timeout),
                checkpoint=claim.checkpoint,
                app=self.app,
                workflow_id=self.options.workflow,
                report=self._report,
            )
            if self.reason is not None:
                self._context.stop(self.reason)
        return self._context

    def _report(self, _: Context) -> None:
        if self.report is not None:
            self.report(self)

    @property
    def needs(self) -> list[str]:
        """The ids of the jobs whose results belong among its arguments."""
        return needs(self.claim.payload) if self.options.fill is not None else []

    def feed(self, results: Mapping[str, str]) -> None:
        """Put the results of other jobs among the arguments. Where one is missing, that is what `arguments` raises."""
        try:
            payload = filled(self.claim.payload, results, lenient=self.options.fill == "known")
        except WorkflowError as error:
            self._missing = error
        else:
            self.claim = msgspec.structs.replace(self.claim, payload=payload)

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the function takes them. Raises `InvalidArguments`, or `WorkflowError` for a missing one."""
        if self._missing is not None:
            raise self._missing
        calls = self.task.calls
        args, kwargs = calls.decode(self.claim.payload)
        if calls.context_name is not None:
            return calls.with_context(args, kwargs, self.context)
        return args, kwargs

    def on_stop(self, interrupt: Callable[[], object]) -> None:
        """Have `interrupt` called when the attempt is told to stop; at once if it was told already."""
        self._interrupt = interrupt
        if self.reason is not None:
            interrupt()

    def stop(self, reason: str) -> None:
        """Tell the task to stop. The first reason stays."""
        if self.reason is not None:
            return
        self.reason = reason
        if self._context is not None:
            self._context.stop(reason)
        if self._interrupt is not None:
            self._interrupt()

    def outcome(self, ending: Ending, chance: Random) -> Outcome:
        """What becomes of the job, with the attempt's last words."""
        context = self._context
        if context is None and type(ending) is Returned:  # the usual end, judged without asking
            return Outcome(self.claim.ref, self.claim.fence, Verdict.COMPLETED, ending.result)
        outcome = judge(self.claim, ending, self.options.policy, chance)
        if context is None or not context.news:
            return outcome
        return msgspec.structs.replace(
            outcome,
            progress=context.value,
            message=context.message,
            checkpoint=context.saved,
            log=context.take_log(),
        )

    def ending(self, error: BaseException) -> Ending:
        """What it means that the task raised this."""
        if self.reason in (STOPPING, LOST):
            return Interrupted()
        if self.reason == CANCELLED:
            return AskedCancel()
        match error:
            case Retry():
                after = None if error.after is None else clock.to_span(error.after)
                return AskedRetry(raised(error), after)
            case Snooze():
                return AskedSnooze(clock.to_span(error.seconds))
            case Cancel():
                return AskedCancel(storable(error.reason, LONGEST_MESSAGE) or None)
        if self.reason == TIMED_OUT and is_cancelled(error):
            return Raised(
                "TimeoutError", f"timed out after {(self.options.timeout or 0) / clock.SECOND:g} s", None, _TIMEOUT
            )
        return raised(error)


Done = Callable[[Attempt, Ending], None]
"""Called on the event loop when an attempt has ended."""

_TIMEOUT = lineage(TimeoutError)


def is_cancelled(error: BaseException) -> bool:
    """Whether this is what an order to stop looks like inside a task."""
    return type(error).__name__ == "CancelledError"


def raised(error: BaseException) -> Raised:
    """An exception as it is kept: cut to a sensible size, with text that every store can hold."""
    kind = type(error)
    try:
        message = str(error)
    except BaseException as broken:  # noqa: BLE001 - an exception whose own text raises must not stop the worker
        message = f"<its text could not be made: {type(broken).__name__}>"
    try:
        text = "".join(traceback.format_exception(kind, error, _own(error), limit=-_DEEPEST_TRACEBACK))
    except BaseException as broken:  # noqa: BLE001 - same
        text = f"<its traceback could not be made: {type(broken).__name__}>"
    trace = None if isinstance(error, InvalidArguments | WorkflowError) else storable(text, _LONGEST_TRACEBACK)
    return Raised(type_name(kind), storable(message, LONGEST_MESSAGE), trace, lineage(kind))


def _own(error: BaseException) -> Any:
    """The traceback from where the task's own code begins."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and "/stoker/worker/" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return trace
