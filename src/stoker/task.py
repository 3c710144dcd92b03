"""Tasks: named functions with options. And the registry of an app's tasks and hooks.

A task knows no app and no store. What people call and enqueue is `app.BoundTask`, which holds a task and an app.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from stoker.codec import CallCodec, ResultCodec
from stoker.context import Context
from stoker.errors import TaskError, UnknownTask
from stoker.job import Ending
from stoker.options import Executor, Options

Hook = Callable[..., Any]


class Run:
    """One attempt, as middleware sees it. Its arguments are for reading: the task gets those of the record."""

    __slots__ = ("args", "context", "kwargs", "task")

    def __init__(self, task: Task, context: Context, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.task = task
        self.context = context
        self.args = args
        self.kwargs = kwargs


Next = Callable[[Run], Awaitable[Ending]]
Middleware = Callable[[Run, Next], Awaitable[Ending]]


class Task:
    """A named function with options. Immutable once declared."""

    def __init__(self, fn: Callable[..., Any], name: str | None, options: Options) -> None:
        _refuse_methods(fn)
        self.fn = fn
        self.module = module_name(fn.__module__)
        self.qualname: str = fn.__qualname__
        self.name = name if name is not None else f"{self.module}.{self.qualname}".replace(".<locals>", "")
        if not isinstance(self.name, str) or not self.name or len(self.name) > 255:
            raise TaskError(f"a task's name must be a text of 1 to 255 characters, not {name!r}")
        self.options = options
        self.is_async = inspect.iscoroutinefunction(fn)
        self.executor: Executor = self.executor_of(options)
        self._overridden: dict[str, Options] = {}
        if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
            raise TaskError(f"task {self.name}: a generator cannot be a task; return a value instead of yielding")
        if options.executor == "process" and not self.importable:
            raise TaskError(
                f"task {self.name}: executor='process' needs a function at the top of a module, "
                "because another process must be able to import it"
            )
        with suppress(NameError):  # a hint names what the module defines further down: looked up at the first call
            self.check(options)

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    @cached_property
    def calls(self) -> CallCodec:
        """How its arguments travel."""
        return CallCodec(self.fn, self.name)

    @cached_property
    def results(self) -> ResultCodec:
        """How its results travel."""
        return ResultCodec(self.calls.result_hint)

    def check(self, options: Options) -> None:
        """Find mistakes where they are made. Raises `TaskError`, which names the parameters."""
        known = self.calls.parameters
        if options.by is not None and options.by not in known:
            names = ", ".join(known) or "none"
            raise TaskError(f"task {self.name}: by={options.by!r} is not one of its parameters; these are {names}")

    @property
    def importable(self) -> bool:
        """Whether another process can import the function."""
        return "<locals>" not in self.qualname and "<lambda>" not in self.qualname and self.module != "__main__"

    def options_of(self, overrides: str | None) -> Options:
        """The options as one job's overrides change them."""
        if overrides is None:
            return self.options
        known = self._overridden.get(overrides)
        if known is None:
            if len(self._overridden) >= 256:
                self._overridden.clear()
            known = self._overridden[overrides] = self.options.overridden(overrides)
        return known

    def executor_of(self, options: Options) -> Executor:
        """Where its code runs."""
        return options.executor or ("loop" if self.is_async else "thread")


class Registry:
    """The tasks, hooks and middleware of one app, in the order in which they were declared."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self.before: list[Hook] = []
        self.after: list[Hook] = []
        self.on_failure: list[Hook] = []
        self.on_start: list[Hook] = []
        self.on_stop: list[Hook] = []
        self.middleware: list[Middleware] = []

    def add(self, task: Task) -> None:
        """Make a task known. Raises `TaskError` where its name is taken."""
        known = self._tasks.get(task.name)
        if known is not None and not (task.module == known.module == "__main__"):  # a cell of a notebook, run again
            raise TaskError(
                f"the task {task.name!r} is defined twice: in {_source(known.fn)} and in {_source(task.fn)}; "
                "rename one, or give one another name="
            )
        self._tasks[task.name] = task

    def get(self, name: str) -> Task:
        """The task of that name. Raises `UnknownTask` that names the nearest."""
        task = self._tasks.get(name)
        if task is None:
            known = ", ".join(sorted(self._tasks)) or "none"
            raise UnknownTask(f"no task is called {name!r}; this app declares: {known}")
        return task

    def exposed(self, name: str) -> Task:
        """The task that may be enqueued over HTTP of that name, or the only one whose name ends with `.name`.

        Raises `UnknownTask`, without a word on others.
        """
        shown = [task for task in self._tasks.values() if task.options.expose]
        named = [task for task in shown if task.name == name] or [t for t in shown if t.name.endswith(f".{name}")]
        if len(named) != 1:
            raise UnknownTask(f"no task that may be enqueued here is called {name!r}")
        return named[0]

    def find(self, name: str) -> Task:
        """The task of that name, or the only one whose name ends with `.name`. Raises `UnknownTask`."""
        if name in self._tasks:
            return self._tasks[name]
        ends = [task for known, task in self._tasks.items() if known.endswith(f".{name}")]
        if len(ends) > 1:
            raise UnknownTask(f"{name!r} can be any of {', '.join(task.name for task in ends)}; write the whole name")
        return ends[0] if ends else self.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def names(self) -> frozenset[str]:
        """The names of all tasks."""
        return frozenset(self._tasks)


def _refuse_methods(fn: Any) -> None:
    if isinstance(fn, classmethod | staticmethod) or inspect.ismethod(fn):
        raise TaskError(f"{fn!r} is a method; a task must be a function at the top of a module")
    if not inspect.isfunction(fn):
        raise TaskError(f"a task must be a function, not {fn!r}")
    owner = fn.__qualname__.rpartition(".")[0]
    if owner and not owner.endswith(">"):  # inside a function, or (before 3.12) a comprehension of one
        raise TaskError(
            f"{fn.__qualname__} is a method of a class; a worker has no instance to call it on. "
            "Make it a function at the top of a module, and pass what it needs as arguments"
        )


def module_name(module: str) -> str:
    """The module's name as a worker imports it: a script run as `__main__` goes by the name of its file."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        name: str = spec.name
        return name
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else module


def _source(fn: Callable[..., Any]) -> str:
    code = fn.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
