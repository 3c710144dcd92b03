"""The app: where tasks are declared and jobs enqueued and managed."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload
from weakref import WeakSet

from stoker import events
from stoker.background import Background
from stoker.bound import BoundTask
from stoker.call import Call
from stoker.context import Context
from stoker.declarations import Declarations
from stoker.drivers.aside import in_thread
from stoker.engine import Engine
from stoker.errors import ConfigError
from stoker.events import Event, Sink
from stoker.foreground import Foreground
from stoker.handle import JobHandle
from stoker.job import Inserted
from stoker.jobs import Jobs
from stoker.locks import Locks
from stoker.options import Options
from stoker.queues import Queues
from stoker.schedule_table import declare as declare_tables
from stoker.schedule_table import lines, tables
from stoker.scheduler import Scheduler
from stoker.schedules import Schedules
from stoker.settings import Mode, Settings, load
from stoker.shell import SHELL, runner
from stoker.task import Hook, Middleware, Registry, Task, module_name
from stoker.worker.loop import WorkerLoop, WorkerOptions
from stoker.workers import Workers
from stoker.workflows import Workflows

_log = logging.getLogger("stoker.worker")

P = ParamSpec("P")
R = TypeVar("R")
H = TypeVar("H", bound=Hook)
M = TypeVar("M", bound=Middleware)


class Declare(Protocol):
    """What `@app.task(…)` gives: a decorator that keeps the function's types. A leading `Context` is not asked for."""

    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /
    ) -> BoundTask[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> BoundTask[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context, P], R], /) -> BoundTask[P, R, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> BoundTask[P, R, R]: ...


class Stoker:
    """Background jobs of one application.

    `url` says where jobs live: `sqlite:///jobs.db` (the default is `sqlite:///stoker.db`) or `memory://`. Arguments
    come before the environment (`STOKER_URL`, `STOKER_MODE`, …), before `stoker.toml` or `[tool.stoker]` in
    `pyproject.toml`. Nothing is opened until the first job.

    `mode`: `queue` (workers run the jobs), `async` (this process does, in the background, with no store at all) or
    `foreground` (enqueue runs the job before it returns, for tests). Raises `ConfigError` that names the setting.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        mode: Mode | None = None,
        concurrency: int | None = None,
        lease: float | None = None,
        grace: float | None = None,
    ) -> None:
        self.settings: Settings = load(
            {"url": url, "mode": mode, "concurrency": concurrency, "lease": lease, "grace": grace}
        )
        self._sinks: list[Sink] = [events.log]
        self.registry = Registry()
        self._engine = Engine(self.settings, self.registry)
        self.jobs = Jobs(self._engine)
        self.queues = Queues(self._engine)
        self.workers = Workers(self._engine)
        self.workflows = Workflows(self._engine)
        self.locks = Locks(self._engine)
        maker = sys._getframe(1)  # noqa: SLF001 - the module that this app is named after
        self._declared = Declarations(module_name(maker.f_globals.get("__name__", "?")))
        self._scheduler: tuple[int, Scheduler] | None = None
        self._loops: WeakSet[WorkerLoop] = WeakSet()
        self.schedules = Schedules(self._engine, self._declared, self._schedules_changed)
        if self.settings.mode == "foreground":
            foreground = Foreground(self.registry, self, self.emit)
            self._engine.adopt(foreground, foreground.connection)
        elif self.settings.mode == "async":
            self._engine.adopt(Background(self.worker, self.settings.grace))
        self._take_tables()

    def _take_tables(self) -> None:
        """Take up the schedules of the configuration file."""
        found = tables(self.settings.schedules)
        known = lines(found)
        if known:
            self.registry.add(Task(runner(known), SHELL, Options()))
        declare_tables(self.schedules, found)

    def __repr__(self) -> str:
        return f"<Stoker on {self._engine.connection.driver.place}, mode {self.settings.mode}>"

    # --- declaring --------------------------------------------------------------------------------------------------

    @overload
    def task(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /
    ) -> BoundTask[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def task(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> BoundTask[P, R, Coroutine[Any, Any, R]]: ...
    @overload
    def task(self, fn: Callable[Concatenate[Context, P], R], /) -> BoundTask[P, R, R]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> BoundTask[P, R, R]: ...
    @overload
    def task(self, *, name: str | None = None, **options: Any) -> Declare: ...
    def task(self, fn: Any = None, *, name: str | None = None, **options: Any) -> Any:
        """Declare a function as a task: `@app.task`, or `@app.task(queue="mail", max_attempts=5, …)`.

        Options: `name` (else module and function), `queue`, `priority` (-100 to 100, higher first), `max_attempts`
        (in all), `backoff` (`exponential(…)`, `fixed(…)`, seconds, or a function of the number of failures),
        `retry_on`, `fail_on` (exception types), `timeout` (seconds for an attempt), `max_crashes`, `key` (text, or a
        function of the arguments), `owner`, `tags`, `executor` (`loop`, `thread`, `process`), `keep_for` (seconds or
        a timedelta), `meta` (JSON), `expose`; `concurrency` and `rate` ("100/m") hold across all processes, for the
        task or, with `by`, for each value of that argument; `debounce` (seconds; of several enqueues the last counts,
        and runs that much later) and `throttle` (the first counts, for that long); `schedule` (cron or plain English,
        or several: its jobs have no arguments; for more, see `schedules`). Raises `TaskError` and `InvalidOption`.
        """
        when = _expressions(options.pop("schedule", ()))
        chosen = Options.declared(options)

        def declare(fn: Any) -> BoundTask[Any, Any, Any]:
            task = Task(fn, name, chosen)
            self.registry.add(task)
            bound = BoundTask[Any, Any, Any](self, self._engine, task, chosen)
            for expression in when:
                self.schedules.declare(expression, bound)
            return bound

        return declare if fn is None else declare(fn)

    def before(self, hook: H) -> H:
        """Have `hook(ctx)` called before every attempt. If it raises, the attempt has failed."""
        self.registry.before.append(hook)
        return hook

    def after(self, hook: H) -> H:
        """Have `hook(ctx, ending)` called after every attempt that its `before` hooks let run."""
        self.registry.after.append(hook)
        return hook

    def on_failure(self, hook: H) -> H:
        """Have `hook(ctx, raised)` called when a job has failed for good by an exception or a timeout.

        Not when its worker was taken down: nobody was left to call it.
        """
        self.registry.on_failure.append(hook)
        return hook

    def on_start(self, hook: H) -> H:
        """Have `hook()` called when a worker starts, before its first job. If it raises, the worker does not start."""
        self.registry.on_start.append(hook)
        return hook

    def on_stop(self, hook: H) -> H:
        """Have `hook()` called when a worker has stopped, after its last job."""
        self.registry.on_stop.append(hook)
        return hook

    def middleware(self, middleware: M) -> M:
        """Put a function around every attempt: `async def around(run, next): return await next(run)`.

        It gets and returns the attempt's `Ending`. The first one declared is the outermost.
        """
        self.registry.middleware.append(middleware)
        return middleware

    # --- enqueuing --------------------------------------------------------------------------------------------------

    def enqueue_many(self, calls: Sequence[Call], *, connection: Any = None) -> list[JobHandle[Any]]:
        """Enqueue calls (`task.call(…)`), all or none, in one round trip; handles in order. From sync code."""
        return self._handles(calls, self._engine.insert(calls, connection))

    async def aenqueue_many(self, calls: Sequence[Call], *, connection: Any = None) -> list[JobHandle[Any]]:
        """As `enqueue_many`, from async code."""
        return self._handles(calls, await self._engine.ainsert(calls, connection))

    def _handles(self, calls: Sequence[Call], answers: Sequence[Inserted]) -> list[JobHandle[Any]]:
        return [
            JobHandle(self._engine, answer.id, answer.created, call.task.results.decode)
            for call, answer in zip(calls, answers, strict=True)
        ]

    # --- working ----------------------------------------------------------------------------------------------------

    def worker(
        self,
        *,
        queues: Mapping[str, int | None] | Sequence[str] | None = None,
        concurrency: int | None = None,
        tags: Iterable[str] | None = None,
        untagged: bool = False,
        lease: float | None = None,
        grace: float | None = None,
        drain: bool = False,
    ) -> WorkerLoop:
        """A worker for this process: `await app.worker().serve()`. The command `stoker worker` runs one of these.

        `queues`: names, or names with limits of their own; None: all. `tags`: take only jobs that share one of these;
        a worker without takes everything. `untagged`: take jobs without tags (with `tags`: these as well). `drain`:
        stop once nothing is due. The rest is as in the settings.
        """
        if self.settings.mode == "foreground":
            raise ConfigError("in mode 'foreground' enqueue runs the jobs itself; there is nothing for a worker to do")
        settings = self.settings.but(concurrency=concurrency, lease=lease, grace=grace)
        limits = _limits(queues)
        if isinstance(tags, str):
            raise ConfigError(f"tags takes a list of texts, not one text: write [{tags!r}]")
        store, driver = self._engine.open()
        made = WorkerLoop(
            self.registry,
            store,
            driver,
            WorkerOptions(
                concurrency=settings.concurrency,
                queues=limits,
                tags=frozenset(tags or ()) if tags or untagged else None,
                untagged=untagged,
                lease=settings.lease,
                grace=settings.grace,
                drain=drain,
            ),
            app=self,
            emit=self.emit,
        )
        self._loops.add(made)
        return made

    @property
    def at_work(self) -> Sequence[WorkerLoop]:
        """The workers that run in this process now, and those that died here."""
        return [worker for worker in list(self._loops) if worker.serving]

    def scheduler(self) -> Scheduler:
        """A scheduler for this process: `start()` begins it in a thread, `stop()` ends it.

        `stoker worker` has one, and so has `lifespan`; in mode `async` it starts with the first schedule. However
        many there are, every tick is enqueued once.
        """
        if self.settings.mode == "foreground":
            raise ConfigError("in mode 'foreground' nothing happens by itself; use app.schedules.run_now(…)")
        return Scheduler(self._engine, self._declared, self.emit)

    def _schedules_changed(self) -> None:
        """In mode `async` this process is the one that serves schedules: from the first one on."""
        if self.settings.mode != "async":
            return
        if self._scheduler is None or self._scheduler[0] != os.getpid():  # threads stay in the parent of a fork
            self._scheduler = os.getpid(), self.scheduler()
            self._scheduler[1].start()
        else:
            self._scheduler[1].wake()

    def _stop_scheduler(self) -> None:
        if self._scheduler is not None and self._scheduler[0] == os.getpid():
            self._scheduler[1].stop()

    def lifespan(self, *, scheduler: bool = True, **options: Any) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """For an ASGI framework: `FastAPI(lifespan=app.lifespan())` runs a worker inside the server's own loop.

        And a scheduler beside it, unless `scheduler=False`. Takes the options of `worker`. Starlette takes it the same
        way, Litestar in a list. It starts nothing where something else runs the jobs: in the modes `async` and
        `foreground`, and under `stoker start --web`, whose own worker does.
        """

        @asynccontextmanager
        async def lifespan(_: Any) -> AsyncIterator[None]:
            if self.settings.mode != "queue" or self._engine.staffed:
                yield
                return
            worker = self.worker(**options)
            started = asyncio.Event()
            serving = asyncio.ensure_future(worker.serve(started))
            starting = asyncio.ensure_future(started.wait())
            await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
            starting.cancel()
            if serving.done():
                serving.result()
            ticking = self.scheduler() if scheduler else None
            if ticking is not None:
                ticking.start()
            try:
                yield
            finally:
                if ticking is not None:
                    await in_thread(ticking.stop)
                worker.stop()
                await serving

        return lifespan

    def subscribe(self, sink: Sink) -> None:
        """Have every event of this app's workers given to `sink` (see `stoker.events`), besides the log."""
        self._sinks.append(sink)

    def emit(self, event: Event) -> None:
        """Give an event to every sink."""
        for sink in self._sinks:
            try:
                sink(event)
            except Exception:  # noqa: BLE001 - who listens must not stop the work
                _log.exception("a subscriber to events failed")

    # --- ending -----------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The store in use, for surfaces and tests."""
        return self._engine

    def close(self) -> None:
        """Close the store. In mode `async` running jobs get the grace first. Later calls raise `AppClosed`."""
        self._stop_scheduler()
        self._engine.close()

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Stoker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Stoker:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def _expressions(schedule: Any) -> Sequence[str]:
    return (schedule,) if isinstance(schedule, str) else tuple(schedule or ())


def _limits(queues: Mapping[str, int | None] | Sequence[str] | None) -> Mapping[str, int | None] | None:
    if queues is None:
        return None
    if isinstance(queues, str):
        raise ConfigError(f"queues takes names, or names with limits, not one text: write [{queues!r}]")
    limits = queues if isinstance(queues, Mapping) else dict.fromkeys(queues)
    if not limits:
        raise ConfigError("queues is empty: name some, or leave it out to serve all")
    for name, limit in limits.items():
        if limit is not None and limit < 1:
            raise ConfigError(f"the limit of queue {name!r} must be 1 or more, or None, not {limit!r}")
    return limits
