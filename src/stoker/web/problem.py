"""What went wrong, as RFC 9457 problem details: errors that programs can tell apart and people can read."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from stoker.errors import (
    AppClosed,
    InvalidArguments,
    InvalidOption,
    JobNotFound,
    KeyTaken,
    PayloadTooLarge,
    ScheduleNotFound,
    StoreBroken,
    StoreUnavailable,
    TaskError,
    TookTooLong,
    UnknownTask,
    WorkerNotFound,
    WorkflowError,
    WorkflowNotFound,
)
from stoker.job import storable

LATER: Final[Mapping[str, str]] = {"retry-after": "2"}
"""Tells who met a store that is down, or a server that is full, after how many seconds to ask again."""

_LONGEST: Final = 2_000
"""Characters of a sentence."""


class Problem(Exception):
    """A request that is answered with an error. `type` is a word for programs, `detail` a sentence for people."""

    def __init__(self, status: int, type: str, detail: str, *, headers: Mapping[str, str] = {}) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type
        self.detail = detail
        self.headers = headers

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """The answer."""
        body = {
            "type": f"urn:stoker:{self.type}",
            "title": self.title,
            "status": self.status,
            "detail": _shortened(self.detail),
        }
        headers = {"cache-control": "no-store", **self.headers}
        return Response(msgspec.json.encode(body), self.status, headers, "application/problem+json")


def _shortened(detail: str) -> str:
    """The sentence as it can be sent: without halves of characters, and of what was sent to us only the beginning."""
    return storable(detail, _LONGEST)


_STATUS: Final[Mapping[type[Exception], tuple[int, str]]] = {
    JobNotFound: (404, "job-not-found"),
    WorkflowNotFound: (404, "workflow-not-found"),
    WorkerNotFound: (404, "worker-not-found"),
    ScheduleNotFound: (404, "schedule-not-found"),
    UnknownTask: (404, "task-not-found"),
    PayloadTooLarge: (413, "payload-too-large"),
    InvalidArguments: (422, "invalid-arguments"),
    InvalidOption: (422, "invalid-option"),
    TaskError: (422, "invalid-arguments"),
    WorkflowError: (422, "invalid-workflow"),
    KeyTaken: (409, "key-taken"),
}
"""Errors of ours that are the request's fault, as `(status, type)`; more particular ones first."""


def problem_of(error: Exception) -> Problem:
    """What to answer where this was raised. What is not the request's fault says nothing of its cause."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ClientDisconnect):
        return Problem(400, "incomplete", "the request ended before its body did")
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        return Problem(
            error.status_code,
            HTTPStatus(error.status_code).name.lower().replace("_", "-"),
            _SENTENCES.get(error.status_code, error.detail),
            headers=headers,
        )
    if isinstance(error, StoreUnavailable | StoreBroken | AppClosed):
        return Problem(
            503,
            "store-unavailable",
            "the store of jobs cannot be reached now; nothing is lost, ask again",
            headers=LATER,
        )
    if isinstance(error, TookTooLong):
        return Problem(503, "took-too-long", str(error), headers=LATER)
    for kind, (status, name) in _STATUS.items():
        if isinstance(error, kind):
            return Problem(status, name, str(error))
    return Problem(500, "internal-error", "something went wrong here; it is in the server's log")


_SENTENCES: Final = {
    404: "there is nothing here",
    405: "this address does not take that method",
}
