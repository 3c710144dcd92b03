"""Arguments that came as JSON, for a task of the app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stoker.codec import encode
from stoker.errors import InvalidArguments, StokerError
from stoker.task import Task
from stoker.web.problem import Problem


def fitted(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments as the task's hints say: its own rule for keys reads values, and not JSON.

    Raises `InvalidArguments`, and a 422 for what is nested too deeply.
    """
    try:
        return task.calls.decode(encode((args, kwargs)))
    except StokerError:
        raise
    except RecursionError:
        raise Problem(422, "invalid-body", "the body's values are nested too deeply") from None
    except Exception as error:  # by a type of the app's, as it is made
        raise InvalidArguments(f"{task.name}(): these arguments do not fit: {error}") from error
