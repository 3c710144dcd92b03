"""How jobs come into the file: made by an app, or put back from a dump."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

from stoker.job import FINAL, LIVE, Inserted, Job, NewJob, ParentFailure, State
from stoker.plan import Statement, Steps
from stoker.stores.record import CODES, COLUMNS, from_job, to_json
from stoker.stores.sqlite.family import Family
from stoker.stores.sqlite.guards import Guards
from stoker.stores.sqlite.limits import Limits
from stoker.stores.sqlite.rows import expanded_row, full_row, new_row, repeated, slot
from stoker.stores.sqlite.texts import Texts

T = TypeVar("T")

_SIZES: Final = (64, 16, 4, 1)
"""Rows of one INSERT."""


class Inserting:
    """Steps of plans that make jobs."""

    def __init__(self, texts: Texts, family: Family, limits: Limits, guards: Guards) -> None:
        self._ask = texts.ask
        self._family = family
        self._limits = limits
        self._guards = guards
        self._plain = [(size, repeated(texts["insert"], size)) for size in _SIZES]
        self._full = [(size, repeated(texts["insert_full"], size)) for size in _SIZES]
        columns = [column for column in COLUMNS if column != "open_parents"] + ["expires_at"]
        slots = ", ".join(map(slot, columns))
        self._restore = f"INSERT INTO stoker_jobs ({', '.join(columns)}) VALUES ({slots}) ON CONFLICT DO NOTHING"  # noqa: S608

    # --- new jobs ---------------------------------------------------------------------------------------------------

    def insert(self, jobs: Sequence[NewJob], now: int) -> Steps[list[Inserted]]:
        """See `Store.insert`."""
        if any(map(_says_more, jobs)):
            return (yield from self._insert_all_kinds(jobs, now))
        new = yield from self._make(self._plain, [new_row(job, now) for job in jobs], jobs)
        return (yield from self._answers(jobs, new, frozenset()))

    def _make(
        self, texts: list[tuple[int, str]], rows: list[tuple[Any, ...]], jobs: Sequence[NewJob]
    ) -> Steps[set[str]]:
        """Insert the rows of the jobs; the ids of those that were made."""
        changed = 0
        for text, params in _inserts(texts, rows):
            reply = yield Statement(text, params)
            changed += reply.changed
        if changed == len(jobs):
            return {job.id for job in jobs}
        if not changed:
            return set()
        found = yield self._ask("inserted", changed=changed)
        return {row[0] for row in found.rows}

    def _answers(self, jobs: Sequence[NewJob], new: set[str], too_late: frozenset[str]) -> Steps[list[Inserted]]:
        """What is said of the jobs. `too_late`: those that extend a job that is not processing."""
        if len(new) == len(jobs):
            return [Inserted(job.id, created=True) for job in jobs]
        answers = []
        left = set(new)
        for job in jobs:
            if job.id in left:
                left.discard(job.id)  # the same id again in this batch is not new any more
                answers.append(Inserted(job.id, created=True))
            else:
                key = None if job.id in too_late else job.key
                found = yield self._ask("holder", id=job.id, key=key)
                answers.append(Inserted(found.rows[0][0] if found.rows else "", created=False))
        return answers

    # --- new jobs that say more -------------------------------------------------------------------------------------

    def _insert_all_kinds(self, jobs: Sequence[NewJob], now: int) -> Steps[list[Inserted]]:
        """As if they came one by one."""
        yield self._ask("begin")
        extended = {job.extends for job in jobs if job.extends is not None}
        extendable = (yield from self._family.extendable(extended)) if extended else set()
        answers: list[Inserted] = []
        for run in _runs(jobs):
            if run[0].guard is not None:
                other = yield from self._in_place_of(run[0], extendable, now)
                if other is not None:
                    answers.append(Inserted(other, created=False))
                    continue
            answers += yield from self._insert_run(run, extendable, now)
        return answers

    def _in_place_of(self, job: NewJob, extendable: set[str], now: int) -> Steps[str | None]:
        """The job that its guard says stands for this one, unless something else counts before that."""
        if job.guard is None or (job.extends is not None and job.extends not in extendable):
            return None
        found = yield self._ask("holder", id=job.id, key=job.key)
        return None if found.rows else (yield from self._guards.in_place_of(job, job.guard, now))

    def _insert_run(self, run: Sequence[NewJob], extendable: set[str], now: int) -> Steps[list[Inserted]]:
        """Insert jobs that do not hang on each other but by parents that stand before their children."""
        too_late = frozenset(job.id for job in run if job.extends is not None and job.extends not in extendable)
        jobs = [job for job in run if job.id not in too_late]
        known = yield from self._family.of({parent for job in jobs for parent in job.parents})
        rows = [expanded_row(job, now, *place) for job, place in zip(jobs, _places(jobs, known), strict=True)]
        new = yield from self._make(self._full, rows, jobs)
        made = [job for job in jobs if job.id in new]
        yield from self._limits.put((job.limit for job in made if job.limit is not None), now)
        for job in made:
            if job.guard is not None:
                yield from self._guards.put(job.guard, job.id, now)
        extending = [job for job in made if job.extends is not None]
        if extending:
            yield from self._family.extend(extending, now)
        waiting = [row[0] for row in rows if row[0] in new and row[4] == CODES[State.WAITING]]
        released = (yield from self._family.join(waiting, now)) if waiting else []
        keys = yield from self._limits.keys_of(released)
        yield from self._limits.readmit(keys | {job.limit.key for job in made if job.limit is not None}, now)
        return (yield from self._answers(run, new, too_late))

    # --- jobs put back ----------------------------------------------------------------------------------------------

    def restore(self, jobs: Sequence[Job], now: int) -> Steps[int]:
        """See `Store.restore`."""
        if not jobs:
            return 0
        names = {job.worker for job in jobs if job.worker is not None}
        yield self._ask("name_workers", ids=to_json(sorted(names)), now=now)
        total = 0
        for run in _split(jobs, lambda job: job.key if job.state in LIVE else None):
            total += yield from self._restore_run(run, now)
        return total

    def _restore_run(self, run: Sequence[Job], now: int) -> Steps[int]:
        reply = yield self._ask("last")
        last = reply.rows[0][0]
        reply = yield Statement(self._restore, [full_row(from_job(job, 0)) for job in run], many=True)
        total = reply.changed
        pairs = [(parent, job.id) for job in run if job.state is State.WAITING for parent in job.open_parents]
        if pairs:
            yield from self._family.put_back(pairs, last)
        over = {job.id for job in run if job.state in FINAL} | {parent for parent, _ in pairs}
        released = (yield from self._family.settled_ids(over, now)) if over else []
        keys = {job.limit for job in run if job.limit is not None}
        yield from self._limits.know(keys, now)
        yield from self._limits.readmit(keys | (yield from self._limits.keys_of(released)), now)
        return total


def _says_more(job: NewJob) -> bool:
    """Whether there is more to it than a row of its own."""
    return bool(job.parents) or (
        job.limit is not None
        or job.guard is not None
        or job.extends is not None
        or job.share is not None
        or job.on_parent_failure is not ParentFailure.CANCEL
    )


def _inserts(texts: list[tuple[int, str]], rows: list[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
    """The rows as few statements of many rows each, of so few shapes that all of them stay prepared."""
    start = 0
    for size, text in texts:
        while len(rows) - start >= size:
            yield text, list(chain.from_iterable(rows[start : start + size]))
            start += size


def _runs(jobs: Sequence[NewJob]) -> Iterator[list[NewJob]]:
    """The jobs in parts, each of which can be inserted at once: the others see what became of those before.

    A guarded job is alone; a key comes once; what extends a job does not come after what may wait for that one.
    """
    for part in _split(jobs, lambda job: job.key):
        run: list[NewJob] = []
        for job in part:
            if run and (job.guard or run[-1].guard or (job.extends and any(before.parents for before in run))):
                yield run
                run = []
            run.append(job)
        yield run


def _split(things: Sequence[T], key_of: Callable[[T], str | None]) -> Iterator[list[T]]:
    """The things in parts, in each of which a key comes once."""
    part: list[T] = []
    keys: set[str] = set()
    for thing in things:
        key = key_of(thing)
        if key is not None and key in keys:
            yield part
            part, keys = [], set()
        if key is not None:
            keys.add(key)
        part.append(thing)
    yield part


def _places(jobs: Sequence[NewJob], known: dict[str, bool]) -> Iterator[tuple[bool, bool]]:
    """Whether each job waits at first, and whether it is told that a parent ended badly.

    `known`: parents that did not complete, and whether they are unfinished. Who finds all of them ended is where it
    belongs at once; the others are joined to their families.
    """
    before: set[str] = set()
    for job in jobs:
        failed = any(not known.get(parent, True) for parent in job.parents)
        waits = any(known.get(parent) or parent in before for parent in job.parents)
        match job.on_parent_failure:
            case ParentFailure.CANCEL | ParentFailure.HOLD:
                waits = waits or failed
            case ParentFailure.ONLY:
                waits = waits or (bool(job.parents) and not failed)
            case ParentFailure.RUN:
                pass
        yield waits, failed and not waits
        before.add(job.id)
