"""Runs the plans of the memory store: one at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from stoker.drivers.driver import Finding, Hint
from stoker.errors import ConfigError
from stoker.plan import Plan, Reply, Statement, pump

T = TypeVar("T")


class MemoryDriver:
    """A lock around the memory store. Nothing in it ever waits for anything else."""

    durability = "jobs live in this process's memory and end with it"
    place = "memory"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._hints: dict[object, Callable[[], None]] = {}

    def run(self, plan: Plan[T]) -> T:
        """See `Driver.run`."""
        with self._lock:
            result = pump(plan, _refuse)
        if plan.wakes:
            for hint in list(self._hints.values()):
                hint()
        return result

    async def arun(self, plan: Plan[T]) -> T:
        """See `Driver.arun`."""
        return self.run(plan)

    async def ask(self, plan: Plan[T], within: float) -> T:
        """See `Driver.ask`: nothing takes long here."""
        return self.run(plan)

    def listen(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> Callable[[], None]:
        """See `Driver.listen`."""
        token = object()

        def call() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(hint)

        self._hints[token] = call
        return lambda: self._hints.pop(token, None) and None

    def recognise(self) -> Plan[None]:
        """See `Driver.recognise`: nobody else can have a connection to memory."""
        raise ConfigError("the memory store has no connections to share")

    def exists(self) -> bool:
        """See `Driver.exists`."""
        return True

    def examine(self) -> Sequence[Finding]:
        """See `Driver.examine`."""
        advice = "if jobs must outlive this process, or others must see them, use a store that processes share"
        return [Finding("store", self.durability, advice)]

    def sibling(self, *, patient: bool = True) -> MemoryDriver:
        """See `Driver.sibling`: memory has no connections, so it is this one."""
        return self

    def close(self) -> None:
        """See `Driver.close`."""


def _refuse(statement: Statement) -> Reply:
    raise AssertionError(f"the memory store asks no database anything, but got {statement.text!r}")
