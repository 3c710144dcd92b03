"""Background jobs for Python web applications: durable, owned, observable, on the store you already have."""

from stoker.app import Stoker
from stoker.bound import BoundTask
from stoker.call import Call
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
    LockLost,
    LockTaken,
    MissingExtra,
    PayloadTooLarge,
    Retry,
    ScheduleNotFound,
    Snooze,
    StokerError,
    StoreBroken,
    StoreUnavailable,
    TaskError,
    UnknownTask,
    WorkerNotFound,
    WorkflowError,
    WorkflowNotFound,
    WorkflowSealed,
)
from stoker.handle import JobHandle
from stoker.job import Job, Log, State
from stoker.retry import exponential, fixed
from stoker.schedule_record import ScheduleRecord
from stoker.step import Step, previous
from stoker.workflow import Workflow, WorkflowHandle, batch, chain
from stoker.workflow_record import WorkflowRecord

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
    "LockLost",
    "LockTaken",
    "Log",
    "MissingExtra",
    "PayloadTooLarge",
    "Retry",
    "ScheduleNotFound",
    "ScheduleRecord",
    "Snooze",
    "State",
    "Step",
    "Stoker",
    "StokerError",
    "StoreBroken",
    "StoreUnavailable",
    "TaskError",
    "UnknownTask",
    "WorkerNotFound",
    "Workflow",
    "WorkflowError",
    "WorkflowHandle",
    "WorkflowNotFound",
    "WorkflowRecord",
    "WorkflowSealed",
    "batch",
    "chain",
    "exponential",
    "fixed",
    "previous",
]
