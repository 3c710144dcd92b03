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

    What these rules raise inside, where a call is made of them, is the request's fault: a 422 says so. Whatever else
    goes wrong there is raised as it is. Raises `InvalidArguments`.
    """
    try:
        fit_args, fit_kwargs = _decoded(task, args, kwargs)
        try:
            yield fit_args, fit_kwargs
        except (StokerError, Problem):
            raise
        except Exception as error:
            if not _makes_no_key(task, fit_args, fit_kwargs):
                raise
            raise InvalidArguments(f"{task.name}(): no key can be made of these arguments: {error}") from error
    except RecursionError:  # how deep is too deep depends on who calls, so that a call may fail where this did not
        raise Problem(422, "invalid-body", "the body's values are nested too deeply") from None


def _decoded(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Any]:
    try:
        return task.calls.decode(encode((args, kwargs)))
    except (StokerError, RecursionError):
        raise
    except Exception as error:  # by a type of the app's, as it is made
        raise InvalidArguments(f"{task.name}(): these arguments do not fit: {error}") from error


def _makes_no_key(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether the task's own function fails to make a key of them. Asked again, because a call does not tell."""
    make = task.options.key
    if not callable(make):
        return False
    try:
        make(*args, **kwargs)
    except Exception:  # noqa: BLE001 - whatever it is, it is of the app's
        return True
    return False
