"""What a person on call does to jobs, queues and workers. Each verb has a sync form and an a-form on one script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from stoker.clock import monotonic, to_span
from stoker.engine import Engine, Script
from stoker.errors import InvalidOption, KeyTaken, StokerError, WorkerNotFound
from stoker.handle import JobHandle
from stoker.job import FINAL, Job, Log, State, storable
from stoker.options import concurrency_of, rate_of
from stoker.plan import Plan
from stoker.store import Action, Change, Command, Facet, Fair, Filter, Page, QueueInfo, QueueLimit, Store, Worker

Which = str | Filter | Iterable[str] | None
"""A job's id, several ids, or a filter; None: the filter that the keywords make."""

_Jobs = list[Job]
_Logs = list[Log]

_CHUNK: Final = 1000
"""Jobs changed in one transaction, so that nobody waits long for the store."""

_TIDY: Final = (State.COMPLETED, State.CANCELLED)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode


class Jobs:
    """The jobs of an app. Filters are keywords: `state` (one or several), `queue`, `task`, `tag`, `owner`,
    `workflow`, `key`, `text` (in the arguments), `older_than` (seconds or a timedelta without any change).

    Verbs that change many return how many; with `dry_run=True` how many it would be.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- reading ----------------------------------------------------------------------------------------------------

    def get(self, id: str) -> Job:
        """The record of a job. Raises `JobNotFound`."""
        return self._engine.play(self._engine.get(id))

    async def aget(self, id: str) -> Job:
        """The record of a job. Raises `JobNotFound`."""
        return await self._engine.aplay(self._engine.get(id))

    def logs(self, id: str) -> _Logs:
        """What the attempts of a job said through `ctx.log`, oldest first. Raises `JobNotFound`.

        Of each the last `LONGEST_LOG` characters, of the last `LOGS_KEPT` attempts (see `stoker.job`).
        """
        return self._engine.play(self._logs(id))

    async def alogs(self, id: str) -> _Logs:
        """As `logs`."""
        return await self._engine.aplay(self._logs(id))

    def _logs(self, id: str) -> Script[_Logs]:
        logs: _Logs = yield self._store.logs(id)
        if not logs:
            yield from self._engine.get(id)  # none is known of, or no job is
        return logs

    def handle(self, id: str) -> JobHandle[Any]:
        """A handle of a job whose id was kept, to wait for its result."""
        return JobHandle(self._engine, id, created=False, decode=msgspec.json.decode)

    def list(self, *, limit: int = 50, before: str | None = None, **filters: Any) -> Sequence[Job]:
        """Records that match, newest first; `before`: the last id of the page before."""
        return self._engine.run(self._find(limit, before, filters))

    async def alist(self, *, limit: int = 50, before: str | None = None, **filters: Any) -> Sequence[Job]:
        """As `list`."""
        return await self._engine.arun(self._find(limit, before, filters))

    def _find(self, limit: int, before: str | None, filters: dict[str, Any]) -> Plan[_Jobs]:
        if limit < 1:
            raise InvalidOption(f"limit must be 1 or more, not {limit}")
        return self._store.find(_filter(None, filters), Page(limit, before))

    def count(self, by: str = "state", **filters: Any) -> dict[str, int]:
        """How many match, by `state`, `queue`, `task` or `owner`."""
        return self._engine.run(self._store.count(_filter(None, filters), _facet(by)))

    async def acount(self, by: str = "state", **filters: Any) -> dict[str, int]:
        """As `count`."""
        return await self._engine.arun(self._store.count(_filter(None, filters), _facet(by)))

    # --- changing ---------------------------------------------------------------------------------------------------

    def cancel(self, which: Which = None, *, reason: str | None = None, dry_run: bool = False, **filters: Any) -> int:
        """End jobs as cancelled. One that has not started never starts; a running one is told to stop, at once."""
        return self._engine.play(self._amend(which, filters, cancelling(reason), dry_run))

    async def acancel(
        self, which: Which = None, *, reason: str | None = None, dry_run: bool = False, **filters: Any
    ) -> int:
        """As `cancel`."""
        return await self._engine.aplay(self._amend(which, filters, cancelling(reason), dry_run))

    def retry(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """Queue failed and cancelled jobs again, with their arguments, history, and one attempt more.

        A job whose key another unfinished job has taken stays; for a single job that raises `KeyTaken`.
        """
        return self._engine.play(self._amend(which, filters, Change(Action.RETRY), dry_run))

    async def aretry(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """As `retry`."""
        return await self._engine.aplay(self._amend(which, filters, Change(Action.RETRY), dry_run))

    def requeue(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """Give back processing jobs whose worker is not alive. One whose worker is alive is never touched."""
        which = Filter() if which is None and not filters else which
        return self._engine.play(self._amend(which, filters, Change(Action.REQUEUE), dry_run))

    async def arequeue(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """As `requeue`."""
        which = Filter() if which is None and not filters else which
        return await self._engine.aplay(self._amend(which, filters, Change(Action.REQUEUE), dry_run))

    def prioritise(self, which: Which = None, *, priority: int, dry_run: bool = False, **filters: Any) -> int:
        """Give jobs that have not started another priority (-100 to 100)."""
        return self._engine.play(self._amend(which, filters, _priority(priority), dry_run))

    async def aprioritise(self, which: Which = None, *, priority: int, dry_run: bool = False, **filters: Any) -> int:
        """As `prioritise`."""
        return await self._engine.aplay(self._amend(which, filters, _priority(priority), dry_run))

    def delete(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """Delete jobs in whatever state, but not those that a living worker is running."""
        return self._engine.play(self._amend(which, filters, Change(Action.DELETE), dry_run))

    async def adelete(self, which: Which = None, *, dry_run: bool = False, **filters: Any) -> int:
        """As `delete`."""
        return await self._engine.aplay(self._amend(which, filters, Change(Action.DELETE), dry_run))

    def purge(self, *, states: Any = tuple(FINAL), dry_run: bool = False, **filters: Any) -> int:
        """Delete finished jobs, of these states, unchanged for `older_than`. Unfinished jobs are never touched."""
        return self._engine.play(self._amend(_purgeable(states, filters), {}, Change(Action.DELETE), dry_run))

    async def apurge(self, *, states: Any = tuple(FINAL), dry_run: bool = False, **filters: Any) -> int:
        """As `purge`."""
        return await self._engine.aplay(self._amend(_purgeable(states, filters), {}, Change(Action.DELETE), dry_run))

    def tidy(self, *, dry_run: bool = False, **filters: Any) -> int:
        """Delete completed and cancelled jobs; failed ones are kept for a person to look at."""
        return self.purge(states=_TIDY, dry_run=dry_run, **filters)

    async def atidy(self, *, dry_run: bool = False, **filters: Any) -> int:
        """As `tidy`."""
        return await self.apurge(states=_TIDY, dry_run=dry_run, **filters)

    def _amend(self, which: Which, filters: dict[str, Any], change: Change, dry_run: bool) -> Script[int]:
        chosen = _filter(which, filters)
        if chosen == Filter() and change.action is not Action.REQUEUE and not isinstance(which, Filter):
            raise InvalidOption(f"{change.action.value} which jobs? give an id, ids or a filter (queue=, state=, …)")
        store = self._store
        if isinstance(which, str):
            yield from self._engine.get(which)  # an unknown id is an error, not «0 changed»
        if dry_run:
            count: int = yield store.eligible(chosen, change)
            return count
        total = 0
        began = monotonic()
        while changed := (yield store.amend(chosen, change, _CHUNK)):
            total += changed
            if isinstance(which, str):
                break
            if change.action is Action.RETRY:  # a job that has failed again meanwhile was retried once already
                since = to_span(monotonic() - began)
                chosen = msgspec.structs.replace(chosen, idle_for=max(chosen.idle_for or 0, since))
        if total == 0 and isinstance(which, str) and change.action is Action.RETRY:
            yield from self._explain(which)
        return total

    def _explain(self, id: str) -> Script[None]:
        """Say why one job was not retried, where it is its key."""
        job = yield from self._engine.get(id)
        if job.key is None or job.state not in (State.FAILED, State.CANCELLED):
            return
        live = tuple(state for state in State if state not in FINAL)
        holders = yield self._store.find(Filter(key=job.key, states=live), Page(1))
        if holders:
            raise KeyTaken(f"job {id} cannot be retried: the unfinished job {holders[0].id} has its key {job.key!r}")

    # --- moving -----------------------------------------------------------------------------------------------------

    def dump(self, path: str | Path | IO[bytes], **filters: Any) -> int:
        """Write the records that match as JSON lines, oldest first; returns how many.

        So whoever loads them gives them the same order. Jobs that are enqueued meanwhile may be in it or not.
        """
        with _opened(path, "wb") as stream:
            return self._engine.play(self._dump(stream, filters))

    async def adump(self, path: str | Path | IO[bytes], **filters: Any) -> int:
        """As `dump`."""
        with _opened(path, "wb") as stream:
            return await self._engine.aplay(self._dump(stream, filters))

    def _dump(self, stream: IO[bytes], filters: dict[str, Any]) -> Script[int]:
        which = _filter(None, filters)
        total, after = 0, ""
        while jobs := (yield self._store.find(which, Page(_CHUNK, after=after))):
            stream.writelines(_encode(job) + b"\n" for job in jobs)
            total += len(jobs)
            after = jobs[-1].id
        return total

    def load(self, path: str | Path | IO[bytes]) -> int:
        """Put the records of a dump back with their ids, states and history; returns how many were put back.

        A job whose id is there, or whose key an unfinished job has, is skipped: loading twice changes nothing.
        Raises `InvalidOption` that names the line that is no record; the lines before it were put back.
        """
        with _opened(path, "rb") as stream:
            return self._engine.play(self._load(stream))

    async def aload(self, path: str | Path | IO[bytes]) -> int:
        """As `load`."""
        with _opened(path, "rb") as stream:
            return await self._engine.aplay(self._load(stream))

    def _load(self, stream: IO[bytes]) -> Script[int]:
        total = 0
        chunk: list[Job] = []
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                chunk.append(_decode(line))
            except msgspec.MsgspecError as error:
                if chunk:
                    total += yield self._store.restore(chunk)
                raise InvalidOption(
                    f"line {number} is not a job's record: {error}; {total} jobs were put back"
                ) from error
            if len(chunk) >= _CHUNK:
                total += yield self._store.restore(chunk)
                chunk = []
        if chunk:
            total += yield self._store.restore(chunk)
        return total

    @property
    def _store(self) -> Store:
        return self._engine.connection.store


class Queues:
    """The queues of an app."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Sequence[QueueInfo]:
        """Every queue that has unfinished jobs or was ever paused, by name."""
        return self._engine.run(self._engine.connection.store.census()).queues

    async def alist(self) -> Sequence[QueueInfo]:
        """As `list`."""
        return (await self._engine.arun(self._engine.connection.store.census())).queues

    def pause(self, queue: str) -> None:
        """Let no more jobs of the queue start, in any process, until it is resumed. Running ones go on."""
        self._engine.run(self._engine.connection.store.pause(queue, True))

    async def apause(self, queue: str) -> None:
        """As `pause`."""
        await self._engine.arun(self._engine.connection.store.pause(queue, True))

    def resume(self, queue: str) -> None:
        """Undo `pause`."""
        self._engine.run(self._engine.connection.store.pause(queue, False))

    async def aresume(self, queue: str) -> None:
        """As `resume`."""
        await self._engine.arun(self._engine.connection.store.pause(queue, False))

    def limit(
        self, queue: str, *, concurrency: int | None = None, rate: str | None = None, fair: str | None = None
    ) -> None:
        """Let so much through a queue from now on, across all processes; what is not given is unlimited.

        `concurrency`: jobs at once. `rate`: `"100/m"`, a token bucket. `fair`: `"owner"`, or the argument that the
        tasks of the queue name with `by=`: jobs of each take turns, so that one's many do not stand before another's
        single one. Raises `InvalidOption`.
        """
        self._engine.run(self._limit(queue, concurrency, rate, fair))

    async def alimit(
        self, queue: str, *, concurrency: int | None = None, rate: str | None = None, fair: str | None = None
    ) -> None:
        """As `limit`."""
        await self._engine.arun(self._limit(queue, concurrency, rate, fair))

    def _limit(self, queue: str, concurrency: int | None, rate: str | None, fair: str | None) -> Plan[None]:
        if fair not in (None, "owner") and not any(task.options.by == fair for task in self._engine.registry):
            raise InvalidOption(
                f"fair must be 'owner' or an argument that a task of this app names with by=, not {fair!r}"
            )
        allowed = rate_of("rate", rate)
        limit = QueueLimit(
            concurrency_of("concurrency", concurrency),
            allowed.number if allowed is not None else None,
            allowed.period if allowed is not None else None,
            None if fair is None else Fair.OWNER if fair == "owner" else Fair.SHARE,
        )
        return self._engine.connection.store.limit(queue, limit)


class Workers:
    """The worker processes of an app."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Sequence[Worker]:
        """Workers that are alive, or whose jobs were not yet taken from them, by start."""
        return self._engine.run(self._engine.connection.store.census()).workers

    async def alist(self) -> Sequence[Worker]:
        """As `list`."""
        return (await self._engine.arun(self._engine.connection.store.census())).workers

    def quiet(self, id: str) -> None:
        """Have a worker claim no more; what it runs goes on, and it stays. Raises `WorkerNotFound`.

        It hears of it within a second. Others get what it leaves.
        """
        self._engine.play(self._tell(id, Command.QUIET))

    async def aquiet(self, id: str) -> None:
        """As `quiet`."""
        await self._engine.aplay(self._tell(id, Command.QUIET))

    def wake(self, id: str) -> None:
        """Have a quiet worker claim again; one that is stopping stops all the same. Raises `WorkerNotFound`."""
        self._engine.play(self._tell(id, None))

    async def awake(self, id: str) -> None:
        """As `wake`."""
        await self._engine.aplay(self._tell(id, None))

    def stop(self, id: str) -> None:
        """Have a worker stop as SIGTERM would: it claims no more, what runs gets the grace, the process ends.

        Raises `WorkerNotFound`. Its fleet does not replace it. Whoever runs its process may: systemd, Kubernetes.
        """
        self._engine.play(self._tell(id, Command.STOP))

    async def astop(self, id: str) -> None:
        """As `stop`."""
        await self._engine.aplay(self._tell(id, Command.STOP))

    def _tell(self, id: str, command: Command | None) -> Script[None]:
        told = yield self._engine.connection.store.command(id, command)
        if not told:
            raise WorkerNotFound(id)


# --- filters as people write them -----------------------------------------------------------------------------------

_PLAIN = ("queue", "task", "tag", "owner", "workflow", "key", "text")


def _filter(which: Which, filters: dict[str, Any]) -> Filter:
    facts: dict[str, Any] = {}
    if isinstance(which, Filter):
        facts = msgspec.structs.asdict(which)
    elif isinstance(which, str):
        facts["ids"] = (which,)
    elif which is not None:
        facts["ids"] = tuple(which)
    for name, value in filters.items():
        if value is None:
            continue
        if name in _PLAIN:
            facts[name] = value
        elif name in {"state", "states"}:
            facts["states"] = _states(value)
        elif name == "older_than":
            facts["idle_for"] = _age(value)
        else:
            raise InvalidOption(f"there is no filter {name!r}; the filters are state, {', '.join(_PLAIN)}, older_than")
    return Filter(**facts)


def _states(value: Any) -> tuple[State, ...]:
    values = [value] if isinstance(value, str) else list(value)
    try:
        return tuple(State(state) for state in values)
    except ValueError:
        raise InvalidOption(f"a state is one of {', '.join(State)}, not {value!r}") from None


def _age(value: Any) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise InvalidOption(f"older_than must be zero or more seconds (or a timedelta), not {value!r}")
    return to_span(seconds)


def _facet(by: str) -> Facet:
    try:
        return Facet(by)
    except ValueError:
        raise InvalidOption(f"jobs are counted by {', '.join(Facet)}, not by {by!r}") from None


def cancelling(reason: str | None) -> Change:
    """To cancel, for a reason that every store can hold."""
    return Change(Action.CANCEL, None if reason is None else storable(reason))


def _priority(priority: int) -> Change:
    if isinstance(priority, bool) or not isinstance(priority, int) or not -100 <= priority <= 100:
        raise InvalidOption(f"priority must be a whole number from -100 to 100, not {priority!r}")
    return Change(Action.PRIORITISE, priority=priority)


def _purgeable(states: Any, filters: dict[str, Any]) -> Filter:
    chosen = _states(states)
    unfinished = [state.value for state in chosen if state not in FINAL]
    if unfinished:
        raise InvalidOption(f"purge only deletes finished jobs, not {', '.join(unfinished)}; see delete and cancel")
    return _filter(None, {**filters, "states": chosen})


@contextmanager
def _opened(path: str | Path | IO[bytes], mode: str) -> Iterator[IO[bytes]]:
    if isinstance(path, str | Path):
        try:
            stream = Path(path).open(mode)  # noqa: SIM115 - closed below
        except OSError as error:
            raise StokerError(f"{path} cannot be opened: {error.strerror}") from error
        with stream:
            yield stream
    else:
        yield path
