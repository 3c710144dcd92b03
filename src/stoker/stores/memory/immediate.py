"""Verbs whose plan asks no database anything: it is done as soon as the plan runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from stoker.plan import Plan, Steps

P = ParamSpec("P")
T = TypeVar("T")


def _immediate(*, wakes: bool) -> Callable[[Callable[P, T]], Callable[P, Plan[T]]]:
    def decorate(body: Callable[P, T]) -> Callable[P, Plan[T]]:
        name = body.__name__

        @wraps(body)
        def make(*args: P.args, **kwargs: P.kwargs) -> Plan[T]:
            def steps() -> Steps[T]:
                yield from ()
                return body(*args, **kwargs)

            return Plan(steps, name=name, writes=True, wakes=wakes)

        return make

    return decorate


immediate = _immediate(wakes=False)
"""Turns a method into a verb whose plan asks no database anything."""

immediate_waking = _immediate(wakes=True)
"""The same, for a verb that may make jobs due."""
