"""Arguments that came as JSON: whatever an app's own types and rules raise is the request's fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from stoker import Stoker
from stoker.call import Call
from stoker.errors import InvalidArguments
from stoker.task import Task
from stoker.web.arguments import fitted


@dataclass
class Even:
    """Refuses others as it is made, by an error that no library knows."""

    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise LookupError("it is odd")


@pytest.fixture
def app() -> Stoker:
    app = Stoker("memory://", mode="queue")

    @app.task(name="picky", key=lambda value: value["id"])
    def picky(value: Any) -> None: ...

    @app.task(name="even")
    def even(value: Even) -> None: ...

    return app


def call(task: Task, value: Any) -> Call:
    return Call(task, task.options, *fitted(task, [value], {}))


@pytest.mark.parametrize("value", [1, {}, {"name": "x"}])
def test_a_key_that_cannot_be_made_is_the_fault_of_the_arguments(app: Stoker, value: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"picky\(\): no key can be made of these arguments"):
        call(app.registry.get("picky"), value)


def test_so_is_a_value_that_cannot_be_made(app: Stoker) -> None:
    with pytest.raises(InvalidArguments, match="do not fit: it is odd"):
        call(app.registry.get("even"), {"number": 3})
    assert call(app.registry.get("even"), {"number": 4}).payload == '[[{"number":4}],{}]'
