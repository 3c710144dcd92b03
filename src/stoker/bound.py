"""A task bound to its app: what `@app.task` gives, to be called and enqueued."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from stoker.call import Call
from stoker.clock import IdSource
from stoker.context import Context
from stoker.engine import Engine
from stoker.handle import JobHandle
from stoker.options import Options
from stoker.task import Task

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")


class BoundCall(Call):
    """A call that knows where it would be enqueued."""

    __slots__ = ("engine",)

    def __init__(self, engine: Engine, task: Task, options: Options, args: Any, kwargs: Any) -> None:
        super().__init__(task, options, args, kwargs)
        self.engine = engine


class BoundTask(Generic[P, R, C]):
    """A task of an app. Calling it runs it here; `enqueue` has it run elsewhere.

    `P` are its parameters, `R` the result of its jobs, `C` what a plain call returns (for async tasks a coroutine).
    """

    def __init__(self, app: Any, engine: Engine, task: Task, options: Options, connection: Any = None) -> None:
        self.app = app
        self.task = task
        self.options = options
        self._engine = engine
        self._connection = connection
        update_wrapper(self, task.fn)

    def __repr__(self) -> str:
        return f"<task {self.task.name}>"

    @property
    def name(self) -> str:
        """The name under which workers know it."""
        return self.task.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C:
        """Run it here and now, as the plain function; a `Context` parameter that is not given gets a detached one."""
        calls = self.task.calls
        if calls.context_name is not None and not any(
            isinstance(value, Context) for value in (*args, *kwargs.values())
        ):
            context = Context(job_id=IdSource()(), task=self.task.name, app=self.app)
            all_args, all_kwargs = calls.with_context(args, kwargs, context)
            result: C = self.task.fn(*all_args, **all_kwargs)
            return result
        plain: C = self.task.fn(*args, **kwargs)
        return plain

    def using(self, *, connection: Any = None, **options: Any) -> BoundTask[P, R, C]:
        """The same task with other options, for some jobs: `resize.using(queue="slow", delay=60).enqueue(…)`.

        Takes every option that `@app.task` takes but `name`, and `delay` (seconds or a timedelta), `run_at` (an aware
        datetime) and `connection`. Raises `InvalidOption` that names what is wrong.
        """
        changed = self.options.using(options)
        changed.overrides()  # refuses what cannot travel
        return BoundTask(
            self.app, self._engine, self.task, changed, self._connection if connection is None else connection
        )

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """A call to be enqueued later, with others. The arguments are checked now."""
        return BoundCall(self._engine, self.task, self.options, args, kwargs)

    @overload
    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    @overload
    def enqueue(self, *args: Any, connection: Any, **kwargs: Any) -> JobHandle[R]: ...
    def enqueue(self, *args: Any, **kwargs: Any) -> JobHandle[R]:
        """Have the task run elsewhere. When this returns, the job is as durable as the store promises.

        The arguments are checked against the type hints now: `InvalidArguments` names the wrong one. `connection=`
        makes the job part of the caller's own transaction: rolled back, there is no job. From sync code.
        """
        connection, kwargs = self._take_connection(kwargs)
        [answer] = self._engine.insert([Call(self.task, self.options, args, kwargs)], connection)
        return JobHandle(self._engine, answer.id, answer.created, self._decoder())

    @overload
    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    @overload
    async def aenqueue(self, *args: Any, connection: Any, **kwargs: Any) -> JobHandle[R]: ...
    async def aenqueue(self, *args: Any, **kwargs: Any) -> JobHandle[R]:
        """As `enqueue`, from async code. Jobs enqueued by many coroutines at once share one transaction."""
        connection, kwargs = self._take_connection(kwargs)
        [answer] = await self._engine.ainsert([Call(self.task, self.options, args, kwargs)], connection)
        return JobHandle(self._engine, answer.id, answer.created, self._decoder())

    def _take_connection(self, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if "connection" in kwargs and "connection" not in inspect.signature(self.task.fn).parameters:
            rest = {name: value for name, value in kwargs.items() if name != "connection"}
            return kwargs["connection"], rest
        return self._connection, kwargs

    def _decoder(self) -> Callable[[str], R]:
        return self.task.results.decode
