"""Runs one attempt to its ending, in whatever executor. Nothing that a task does escapes from here."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from stoker.errors import InvalidArguments, TaskError
from stoker.events import HookFailed, Sink
from stoker.job import Ending, Raised, Returned
from stoker.task import Middleware, Next, Registry, Run
from stoker.worker.attempt import Attempt

Elsewhere = Callable[[Attempt], Awaitable[Ending]]
"""Runs an attempt in a thread or a process."""

_NOTHING = Returned("null")


async def run_async(attempt: Attempt) -> Ending:
    """Run a task on the event loop."""
    try:
        args, kwargs = attempt.arguments()
        value = attempt.task.fn(*args, **kwargs)
        if attempt.task.is_async:
            value = await value
        return _NOTHING if value is None else Returned(_encoded(attempt, value))
    except BaseException as error:  # noqa: BLE001 - SystemExit of a task must not end the worker
        return attempt.ending(error)


def run_sync(attempt: Attempt) -> Ending:
    """Run a task in this thread; an async one gets an event loop of its own."""
    try:
        args, kwargs = attempt.arguments()
        value = attempt.task.fn(*args, **kwargs)
        if attempt.task.is_async:
            value = asyncio.run(value)
        return _NOTHING if value is None else Returned(_encoded(attempt, value))
    except BaseException as error:  # noqa: BLE001 - same
        return attempt.ending(error)


def _encoded(attempt: Attempt, value: Any) -> str:
    try:
        return attempt.task.results.encode(value)
    except InvalidArguments:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArguments(
            f"the result of {attempt.task.name} cannot be kept: {error}; "
            "return a JSON value, a dataclass, a msgspec Struct or a pydantic model"
        ) from error


class Surroundings:
    """The app's hooks and middleware around an attempt. Where there are none, nothing is paid for them."""

    def __init__(self, registry: Registry, emit: Sink) -> None:
        self._registry = registry
        self._emit = emit

    @property
    def empty(self) -> bool:
        """Whether there is nothing around an attempt."""
        registry = self._registry
        return not (registry.before or registry.after or registry.middleware)

    async def run(self, attempt: Attempt, execute: Elsewhere) -> Ending:
        """Run an attempt inside the middleware, and the hooks inside that."""
        try:
            args, kwargs = attempt.arguments()
        except BaseException as error:  # noqa: BLE001 - wrong arguments are a failed attempt
            return attempt.ending(error)

        async def innermost(run: Run) -> Ending:
            for hook in self._registry.before:
                await call(hook, run.context)
            ending = await execute(attempt)
            for hook in self._registry.after:
                await self.call_safely(hook, run.context, ending)
            return ending

        chain: Next = innermost
        for middleware in reversed(self._registry.middleware):
            chain = _wrapped(middleware, chain)
        try:
            return await chain(Run(attempt.task, attempt.context, args, kwargs))
        except BaseException as error:  # noqa: BLE001 - a before hook or a middleware refused: a failed attempt
            return attempt.ending(error)

    async def failed(self, attempt: Attempt, raised: Raised) -> None:
        """Tell the `on_failure` hooks that the job failed for good."""
        for hook in self._registry.on_failure:
            await self.call_safely(hook, attempt.context, raised)

    async def call_safely(self, hook: Callable[..., Any], *args: Any) -> None:
        """Call a hook whose failure is told, and changes nothing."""
        try:
            await call(hook, *args)
        except Exception as error:  # noqa: BLE001 - what has happened cannot be undone by a hook
            self._emit(HookFailed(hook.__qualname__, error))


def _wrapped(middleware: Middleware, inner: Next) -> Next:
    async def outer(run: Run) -> Ending:
        ending: Any = await middleware(run, inner)
        if not isinstance(ending, Ending):
            raise TaskError(
                f"{middleware.__qualname__} must return what next(run) gave it, or another ending, not {ending!r}"
            )
        return ending

    return outer


async def call(hook: Callable[..., Any], *args: Any) -> None:
    """Call a hook, sync or async."""
    result = hook(*args)
    if inspect.isawaitable(result):
        await result
