"""What a schedule does, decided purely: facts and an instant in, what to write and enqueue out.

Every decision is a `Put`: it counts only if nobody has decided anything about that schedule in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import tzinfo
from itertools import islice, takewhile
from typing import Final

from msgspec.structs import replace

from stoker.clock import SECOND, derived_id
from stoker.job import NewJob
from stoker.schedule import Put, Schedule
from stoker.timing.definition import (
    BY_HAND,
    KEPT_RUNS,
    Definition,
    Document,
    Misfire,
    Overlap,
    Run,
    Why,
    read,
    write,
)
from stoker.timing.expression import Timing

MOST: Final = 100
"""Jobs for ticks that were missed."""
LATE: Final = 60 * SECOND
"""Span after which a tick was missed."""
TOGETHER: Final = 60 * SECOND
"""Starts within that span are one."""
ASTRAY: Final = 24 * 3600 * SECOND
"""Span by which the last tick may lie ahead of the clock. Beyond, the clock was wrong then."""


def tick_id(name: str, tick: int) -> str:
    """The id of a tick's job: the same wherever it is made. A UUIDv7 with the tick's milliseconds."""
    return derived_id(max(tick, 0), name, str(tick))


def spread(name: str, tick: int, jitter: int) -> int:
    """The span by which a tick's job comes later: from 0 up to the jitter, the same wherever it is asked."""
    return int.from_bytes(hashlib.sha256(f"{tick}\x00{name}".encode()).digest()[:8]) % jitter if jitter else 0


def coming(timing: Timing, where: tzinfo, after: int, start: int | None, end: int | None) -> Iterator[int]:
    """All ticks later than that instant, in order, from a start to an end if it has these."""
    later = timing.ticks(after if start is None else max(after, start - 1), where)
    return takewhile(lambda tick: end is None or tick <= end, later)


def next_tick(definition: Definition, after: int) -> int | None:
    """The first tick later than that instant; None: there is none."""
    return next(coming(definition.timing, definition.zone, after, definition.start, definition.end), None)


def upcoming(definition: Definition, after: int, count: int) -> list[int]:
    """The next ticks, in order: fewer where there are no more."""
    return list(islice(coming(definition.timing, definition.zone, after, definition.start, definition.end), count))


def asks(document: Document) -> tuple[str, ...]:
    """Ids of the jobs that may hold up the next tick; the caller finds out which are unfinished."""
    if document.definition.overlap is Overlap.ALLOW:
        return ()
    return tuple(dict.fromkeys((*document.open, *(run.job for run in document.runs if run.job is not None))))


def tick(schedule: Schedule, document: Document, now: int, live: Collection[str]) -> Put:
    """Decide on the ticks that are due. `live`: which of `asks(document)` are unfinished."""
    definition = document.definition
    assert schedule.next_at is not None
    due = _due(definition, schedule.next_at, now)
    busy = tuple(id for id in asks(document) if id in live)
    runs: list[Run] = []
    jobs: list[NewJob] = []
    for moment, missed in due:
        if missed:
            runs.append(Run(moment, now, why=Why.LATE))
        elif definition.overlap is Overlap.SKIP and busy:
            runs.append(Run(moment, now, why=Why.BUSY))
        else:
            job = _job(schedule.name, definition, moment)
            jobs.append(job)
            runs.append(Run(moment, now, job.id))
            busy = (*busy, job.id)
    last = due[-1][0] if due else schedule.next_at
    after = replace(
        _noted(document, runs),
        last=last,
        open=busy if definition.overlap is Overlap.SKIP else (),
    )
    return _put(schedule, after, next_tick(definition, max(now, last)), jobs)


def _due(definition: Definition, first: int, now: int) -> list[tuple[int, bool]]:
    """The ticks from the first one to now, and of each whether it was missed for good. Others leave no trace."""
    until = now if definition.end is None else min(now, definition.end)
    most = MOST if definition.misfire is Misfire.ALL else 1
    ticks = definition.timing.newest(first, until, definition.zone, most)
    missed = definition.misfire is Misfire.SKIP
    return [(moment, missed and now - moment > LATE) for moment in ticks]


def _job(name: str, definition: Definition, moment: int) -> NewJob:
    run_at = moment + spread(name, moment, definition.jitter)
    return replace(definition.job, id=tick_id(name, moment), run_at=run_at, schedule=name)


def _noted(document: Document, runs: Iterable[Run]) -> Document:
    return replace(document, runs=(*document.runs, *runs)[-KEPT_RUNS:])


def _put(schedule: Schedule, document: Document, next_at: int | None, jobs: Iterable[NewJob] = ()) -> Put:
    return Put(replace(schedule, document=write(document), next_at=next_at), tuple(jobs))


def _anew(document: Document, now: int) -> int | None:
    """The next tick as it would be from now on: none that was decided already, if the clock was right then."""
    if document.paused or document.retired:
        return None
    last = document.last
    return next_tick(document.definition, now if last is None or last - now > ASTRAY else max(now, last))


# --- what people and declarations do --------------------------------------------------------------------------------


def declare(name: str, schedule: Schedule | None, definition: Definition, now: int) -> Put | None:
    """Take up a definition under that name, in place of the one that is there. None: it is that one."""
    if schedule is None:
        document = Document(definition=definition)
        return _put(Schedule(name, ""), document, _anew(document, now))
    known = read(schedule)
    if known.definition == definition and not known.retired:
        return None
    document = replace(known, definition=definition, retired=False)
    return _put(schedule, document, _anew(document, now))


def retire(schedule: Schedule) -> Put | None:
    """Let it fire no more, because nothing declares it any more. None: it does not."""
    document = read(schedule)
    return None if document.retired else _put(schedule, replace(document, retired=True), None)


def pause(schedule: Schedule) -> Put | None:
    """Let it fire no more until it is resumed. None: it is paused."""
    document = read(schedule)
    return None if document.paused else _put(schedule, replace(document, paused=True), None)


def resume(schedule: Schedule, now: int) -> Put | None:
    """Let it fire again, from now on; what it would have done meanwhile is not made up for. None: it was not paused."""
    document = read(schedule)
    if not document.paused:
        return None
    document = replace(document, paused=False)
    return _put(schedule, document, _anew(document, now))


def run_now(schedule: Schedule, now: int, id: str, why: Why = Why.ASKED) -> Put:
    """Enqueue its job once more, now, with that id. Its ticks stay as they are."""
    document = read(schedule)
    job = replace(document.definition.job, id=id, run_at=now, schedule=schedule.name)
    return _put(schedule, _noted(document, [Run(now, now, id, why)]), schedule.next_at, [job])


def begin(schedule: Schedule, now: int, id: str) -> Put | None:
    """Enqueue its job because a scheduler starts, if it is to; None: it is not, or another started just before."""
    document = read(schedule)
    if not document.definition.run_on_start or document.paused or document.retired:
        return None
    if any(run.why is Why.STARTED and abs(now - run.at) < TOGETHER for run in document.runs):
        return None
    return run_now(schedule, now, id, Why.STARTED)


def to_retire(schedules: Iterable[Schedule], declared: Collection[str], origins: Collection[str]) -> list[Put]:
    """Retirements of what these origins declared once, and do not any more."""
    puts = []
    for schedule in schedules:
        if schedule.name in declared:
            continue
        document = _readable(schedule)
        if document is not None and document.definition.origin in origins:
            put = retire(schedule)
            if put is not None:
                puts.append(put)
    return puts


def may_take(schedule: Schedule, origins: Collection[str]) -> bool:
    """Whether a declaration of these origins may take this schedule's name: it is theirs, nobody's, or retired."""
    document = _readable(schedule)
    if document is None:
        return False
    return document.retired or document.definition.origin in {BY_HAND, *origins}


def _readable(schedule: Schedule) -> Document | None:
    try:
        return read(schedule)
    except ValueError:
        return None


def by_name(schedules: Iterable[Schedule]) -> Mapping[str, Schedule]:
    """Schedules by their names."""
    return {schedule.name: schedule for schedule in schedules}
