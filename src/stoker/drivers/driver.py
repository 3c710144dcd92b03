"""What the application asks of a driver, whatever client library it wraps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from stoker.plan import Plan

T = TypeVar("T")

Hint = Callable[[], None]
"""Called when there may be work: a hint that may come late, twice, or not at all. Never blocks, never raises."""

GIVEN_UP: Final = (
    "the question took longer than it may, and was given up; narrow it down (to a queue, a task, an owner, a state or "
    "a time), or ask for less at once"
)
"""What `TookTooLong` says."""


class Finding(Struct, frozen=True):
    """What an examination found out about one thing."""

    subject: str
    detail: str
    advice: str | None = None
    """what to do about it; None: nothing is wrong"""
    grave: bool = True
    """with advice: False where all works, and somebody should know of it"""


class Driver(Protocol):
    """Runs plans on connections of its own. Every call is one transaction; it raises only the errors of `errors`.

    A driver may be used from any thread and any event loop. It opens nothing before its first call, and begins anew
    in a forked child.
    """

    @property
    def durability(self) -> str:
        """What is true of a job once its enqueue returned, in one sentence for people."""
        ...

    @property
    def place(self) -> str:
        """Where the jobs are, for people; no secrets."""
        ...

    def run(self, plan: Plan[T]) -> T:
        """Run the plan and block until it is committed."""
        ...

    async def arun(self, plan: Plan[T]) -> T:
        """Run the plan without blocking the event loop for long."""
        ...

    async def ask(self, plan: Plan[T], within: float) -> T:
        """Run a plan that only reads, and give it up after so many seconds: raises `TookTooLong`.

        The database stops working at it, too, so that a costly question does not slow the workers for longer.
        """
        ...

    def listen(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> Callable[[], None]:
        """Call `hint` on that loop whenever there may be work; returns what ends it. To be called on the loop."""
        ...

    def recognise(self) -> Plan[None]:
        """A plan that raises `ConfigError` on a connection to another place than this driver's."""
        ...

    def exists(self) -> bool:
        """Whether there is anything at the place. False: the first plan makes it. Opens nothing."""
        ...

    def examine(self) -> Sequence[Finding]:
        """Look at the place itself (versions, access, damage, room) and change nothing.

        What is wrong is a finding, never an exception. May take seconds on a large store.
        """
        ...

    def sibling(self, *, patient: bool = True) -> Driver:
        """A driver of the same place with connections of its own; an impatient one never waits for a lock."""
        ...

    def close(self) -> None:
        """Close every connection. Plans under way end first."""
        ...
