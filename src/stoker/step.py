"""Steps: what stands in an argument's place until the job whose result belongs there has run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from stoker.errors import WorkflowError

MARK: Final = b'"$step"'
"""Where this is not in the JSON of a call, no step is."""
_NAME: Final = "$step"


class Step:
    """A job of a workflow that is to be: place it where an argument goes, and its result is passed."""

    __slots__ = ("id", "task")

    def __init__(self, id: str, task: str) -> None:
        self.id = id
        """the id that its job will have"""
        self.task = task

    def __repr__(self) -> str:
        return f"<Step {self.task} {self.id}>"


class Previous:
    """Stands for the result of the step before, in a chain."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "previous"


previous: Any = Previous()
"""Place it where an argument goes: `chain(fetch.call(url), store.call("name", previous))`. Without it the result of the
step before becomes the first argument."""


def to_placeholder(value: Step | Previous) -> dict[str, str]:
    """The JSON that stands in a payload until the result is known."""
    return {_NAME: value.id if isinstance(value, Step) else ""}


def steps_in(value: Any) -> Iterator[Step | Previous]:
    """The steps in a value, at any depth of lists, tuples and dicts."""
    if isinstance(value, Step | Previous):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from steps_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from steps_in(inner)


def with_previous(value: Any, result: Any) -> Any:
    """The value with `result` in every place of the step before."""
    if isinstance(value, Previous):
        return result
    if isinstance(value, Mapping):
        return {key: with_previous(inner, result) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_previous(inner, result) for inner in value)
    return value


def needs(payload: str) -> list[str]:
    """The ids of the jobs whose results belong into a payload with steps."""
    found: dict[str, None] = {}
    _fill(msgspec.json.decode(payload), found.setdefault)
    return list(found)


def filled(payload: str, results: Mapping[str, str], *, lenient: bool) -> str:
    """A payload with results (JSON by id) in the places of its steps.

    Raises `WorkflowError` for one that is not there; None takes its place where the job was to run all the same.
    """
    values = {id: msgspec.json.decode(text) for id, text in results.items()}

    def value_of(id: str) -> Any:
        if id not in values and not lenient:
            raise WorkflowError(
                f"the result of job {id}, which belongs among the arguments, is not there: it did not complete, or its "
                "record was deleted; retry the workflow from there"
            )
        return values.get(id)

    return msgspec.json.encode(_fill(msgspec.json.decode(payload), value_of)).decode()


def _fill(value: Any, value_of: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and _NAME in value:
            return value_of(value[_NAME])
        return {key: _fill(inner, value_of) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, value_of) for inner in value]
    return value
