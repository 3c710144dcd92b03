"""The closed family of exceptions.

Expected conditions (a taken key, a lost lease) are values, never exceptions. What is raised here says what is wrong
and what to do about it. `Retry`, `Snooze` and `Cancel` are not errors: a task raises them to say how it wants to end.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final


class StokerError(Exception):
    """Base of everything that Stoker raises at its callers."""


class ConfigError(StokerError, ValueError):
    """A URL, a setting or a combination of them is wrong. Nothing was opened or written."""


class MissingExtra(ConfigError):
    """The feature needs a package that is not installed; the message names the extra to install."""


class TaskError(StokerError, TypeError):
    """A task was declared in a way that could not run."""


class UnknownTask(StokerError, LookupError):
    """No task of that name is declared in this app."""


class InvalidArguments(StokerError, TypeError):
    """A call does not fit the task's signature or type hints. Nothing was enqueued."""


class InvalidOption(StokerError, ValueError):
    """An option of a job (delay, priority, key, …) is out of its range. Nothing was enqueued."""


class PayloadTooLarge(InvalidArguments):
    """Arguments, a result or a checkpoint are larger than the limit. Store the data elsewhere and pass a reference."""


class AppClosed(StokerError, RuntimeError):
    """The app was closed; it takes no more calls."""


class StoreUnavailable(StokerError):
    """The store cannot be reached or written now. Nothing is known to be lost; the call may be repeated."""


class TookTooLong(StokerError):
    """A question to the store was given up after the time that it was allowed. Nothing was changed."""


class StoreBroken(StokerError):
    """The store's data cannot be used by this version: it is corrupt, or was written by a newer version."""


class JobNotFound(StokerError, LookupError):
    """No job has that id (or it was deleted after its retention)."""

    def __init__(self, id: str) -> None:
        super().__init__(f"no job has the id {id!r}; finished jobs are deleted after their retention (keep_for)")
        self.id = id


class WorkerNotFound(StokerError, LookupError):
    """No worker of that id is alive. Nothing was told to anybody."""

    def __init__(self, id: str) -> None:
        super().__init__(f"no living worker has the id {id!r}; `stoker workers list` shows those that there are")
        self.id = id


class WorkflowError(StokerError, ValueError):
    """A workflow cannot be as it was put together, or a step of it cannot run for want of another's result."""


class WorkflowSealed(StokerError):
    """Nothing can be added: the job that adds is not running any more. What it added before stays."""


class WorkflowNotFound(StokerError, LookupError):
    """No workflow has that id (or all its jobs were deleted after their retention)."""

    def __init__(self, id: str) -> None:
        super().__init__(f"no workflow has the id {id!r}; finished ones are deleted after their retention (keep_for)")
        self.id = id


class InvalidToken(StokerError, ValueError):
    """A token has expired, or is none of this app's."""


class LockTaken(StokerError, TimeoutError):
    """Somebody else has the lock, and the time to wait for it is over. Nothing was done."""


class LockLost(StokerError):
    """The lock ran out before it was renewed; somebody else may have it now."""


class ScheduleNotFound(StokerError, LookupError):
    """No schedule has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no schedule {name!r}")
        self.name = name


class KeyTaken(StokerError):
    """The job cannot become live again, because another unfinished job has its key."""


class JobFailed(StokerError):
    """The job whose result was asked for has failed. `type`, `message` and `traceback` tell why."""

    def __init__(self, id: str, type: str, message: str, traceback: str | None = None) -> None:
        super().__init__(f"job {id} failed: {type}: {message}" if message else f"job {id} failed: {type}")
        self.id = id
        self.type = type
        self.message = message
        self.traceback = traceback


class JobCancelled(StokerError):
    """The job whose result was asked for was cancelled."""

    def __init__(self, id: str, reason: str | None = None) -> None:
        super().__init__(f"job {id} was cancelled" + (f": {reason}" if reason else ""))
        self.id = id
        self.reason = reason


class RemoteTraceback(Exception):
    """The cause of a `JobFailed`: the traceback as the worker printed it."""

    def __init__(self, text: str) -> None:
        super().__init__("\n" + text)


LONGEST: Final = 3.2e9
"""Seconds, a century: no pause is longer, so that every due time is one that a calendar knows."""


def _seconds(value: float | timedelta, name: str) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not 0 <= seconds <= LONGEST:
        raise InvalidOption(f"{name} must be zero or more seconds (or a timedelta), up to a century, not {value!r}")
    return seconds


class Retry(Exception):
    """Raised by a task: end this attempt as failed and try again, in `after` seconds or after the task's backoff."""

    def __init__(self, message: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(message)
        self.after = None if after is None else _seconds(after, "Retry(after=)")


class Snooze(Exception):
    """Raised by a task: not now; run again in that many seconds. No attempt is charged."""

    def __init__(self, seconds: float | timedelta, message: str = "") -> None:
        super().__init__(message)
        self.seconds = _seconds(seconds, "Snooze(seconds)")


class Cancel(Exception):
    """Raised by a task: end the job as cancelled, for that reason. It is not tried again."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
