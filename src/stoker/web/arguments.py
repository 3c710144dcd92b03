"""Arguments that came as JSON, for a task of the app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from stoker.codec import encode
from stoker.errors import InvalidArguments, StokerError
from stoker.task import Task
from stoker.web.problem import Problem


@contextmanager
def fitting(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[Sequence[Any], Any]]:
    """The arguments as the task's hints say: its own rules for keys read values, and not JSON.

    What goes wrong inside, where a call is made of them, is the request's fault: a 422 says so. Raises
    `InvalidArguments`.
    """
    try:
        yield task.calls.decode(encode((args, kwargs)))
    except (StokerError, Problem):
        raise
    except RecursionError:
        raise Problem(422, "invalid-body", "the body's values are nested too deeply") from None
    except Exception as error:  # by the task's own function, which makes a key of the arguments
        raise InvalidArguments(f"{task.name}(): no key can be made of these arguments: {error}") from error
