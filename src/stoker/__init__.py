"""Background jobs for Python web applications: durable, owned, observable, on the store you already have."""

from stoker.app import Stoker
from stoker.bound import BoundTask
from stoker.context import Context
from stoker.errors import (
    AppClosed,
    Cancel,
    ConfigError,
    InvalidArguments,
    InvalidOption,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KeyTaken,
    MissingExtra,
    PayloadTooLarge,
    Retry,
    Snooze,
    StokerError,
    StoreBroken,
    StoreUnavailable,
    TaskError,
    UnknownTask,
)
from stoker.handle import JobHandle
from stoker.job import Job, State
from stoker.retry import exponential, fixed
from stoker.task import Call

__all__ = [
    "AppClosed",
    "BoundTask",
    "Call",
    "Cancel",
    "ConfigError",
    "Context",
    "InvalidArguments",
    "InvalidOption",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobHandle",
    "JobNotFound",
    "KeyTaken",
    "MissingExtra",
    "PayloadTooLarge",
    "Retry",
    "Snooze",
    "State",
    "Stoker",
    "StokerError",
    "StoreBroken",
    "StoreUnavailable",
    "TaskError",
    "UnknownTask",
    "exponential",
    "fixed",
]
