"""Plans: a store verb's recipe, free of I/O, and the two ways to run one.

A plan yields statements and is sent the replies; it never opens, awaits or commits. So one body of store logic serves
sync code, async code and the caller's own transaction. A plan is a recipe, not a running generator: a driver may start
it afresh after the database was busy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import wraps
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Statement(NamedTuple):
    """One thing to ask the database."""

    text: str
    """SQL, or whatever the store's drivers understand"""
    params: Sequence[Any] | Mapping[str, Any] = ()
    """positional or named; with `many`, one sequence a row"""
    many: bool = False
    """run once for each of `params`"""
    alone: bool = False
    """the plan's only statement: it is a transaction by itself, and a driver need not put one around it"""


class Violation(Exception):
    """A constraint of the database refused a statement; the statement did nothing, the transaction goes on.

    Drivers raise it into the plan, whatever their library calls it.
    """


class Reply(NamedTuple):
    """The answer to one statement."""

    rows: list[tuple[Any, ...]]
    changed: int
    """rows changed, for statements that change some"""


Steps = Generator[Statement, Reply, T]
"""A plan under way."""


class Plan(Generic[T]):
    """What a store verb returns: nothing has happened yet. A driver runs it in one transaction."""

    __slots__ = ("_recipe", "name", "wakes", "writes")

    def __init__(self, recipe: Callable[[], Steps[T]], *, name: str, writes: bool, wakes: bool) -> None:
        self._recipe = recipe
        self.name = name
        self.writes = writes
        """False: the plan only reads, and need not wait for a writer"""
        self.wakes = wakes
        """once committed there may be work for somebody who sleeps"""

    def start(self) -> Steps[T]:
        """A fresh run of the recipe."""
        return self._recipe()

    def __repr__(self) -> str:
        return f"<Plan {self.name}>"


def _verb(*, writes: bool, wakes: bool) -> Callable[[Callable[P, Steps[T]]], Callable[P, Plan[T]]]:
    def decorate(body: Callable[P, Steps[T]]) -> Callable[P, Plan[T]]:
        name = body.__name__

        @wraps(body)
        def make(*args: P.args, **kwargs: P.kwargs) -> Plan[T]:
            return Plan(lambda: body(*args, **kwargs), name=name, writes=writes, wakes=wakes)

        return make

    return decorate


reading = _verb(writes=False, wakes=False)
"""Turns a generator function into a verb that changes nothing: calling it gives a `Plan`."""

writing = _verb(writes=True, wakes=False)
"""The same, for a verb that changes the store."""

waking = _verb(writes=True, wakes=True)
"""The same, for a verb that may make jobs due."""


def pump(plan: Plan[T], execute: Callable[[Statement], Reply]) -> T:
    """Run a plan: give each of its statements to `execute` and send back the reply."""
    steps = plan.start()
    try:
        statement = next(steps)
        while True:
            try:
                reply = execute(statement)
            except BaseException as error:  # noqa: BLE001 - the plan may answer to it
                statement = steps.throw(error)
            else:
                statement = steps.send(reply)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()


async def apump(plan: Plan[T], execute: Callable[[Statement], Awaitable[Reply]]) -> T:
    """Run a plan over an asynchronous connection; otherwise as `pump`."""
    steps = plan.start()
    try:
        statement = next(steps)
        while True:
            try:
                reply = await execute(statement)
            except BaseException as error:  # noqa: BLE001 - the plan may answer to it
                statement = steps.throw(error)
            else:
                statement = steps.send(reply)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()
