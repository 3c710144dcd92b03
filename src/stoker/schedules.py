"""The schedules of an app: declared before it starts, and made, paused and removed while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final

import msgspec

from stoker import clock, schedule_options
from stoker.bound import BoundTask
from stoker.clock import to_datetime
from stoker.declarations import Declarations
from stoker.engine import Engine, Script
from stoker.errors import InvalidOption, ScheduleNotFound, StoreUnavailable
from stoker.handle import JobHandle
from stoker.job import Inserted, is_storable
from stoker.schedule import Put, Schedule
from stoker.schedule_record import ScheduleRecord, record
from stoker.schedule_store import ScheduleStore
from stoker.timing import ticks
from stoker.timing.definition import BY_HAND, Definition, Document, read
from stoker.timing.expression import parse, parse_cron, spoken
from stoker.timing.zone import zone

AnyTask = BoundTask[Any, Any, Any] | str
"""A task of the app, or its name."""
Decide = Callable[[Schedule, int], Put | None]
_Records = list[ScheduleRecord]

_CLOCK: Final = re.compile(r"[\d:. apm]+|noon|midnight", re.IGNORECASE)
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


class Schedules:
    """The schedules of an app.

    `every_minute`, `hourly`, `daily`, `weekly`, `monthly`, `every` and `cron` declare: what they say is taken up when
    a scheduler of the app starts, and is retired when one starts whose code does not say it any more. `add` writes
    into the store, at once and for good. The others work with both. Each verb has an a-form for async code.

    Options of all that make schedules: `name` (else the task's), `args`, `kwargs`, `tz` (else UTC), `jitter` (seconds
    over which the jobs are spread), `start` and `end` (aware datetimes), `misfire` (`"one"` job for all ticks that
    were missed, `"all"`, or `"skip"`), `overlap` (`"skip"`: none while an earlier one's job is unfinished),
    `run_on_start`, and `options` of the jobs (as `task.using` takes them).
    """

    def __init__(self, engine: Engine, declared: Declarations, changed: Callable[[], None]) -> None:
        self._engine = engine
        self._declared = declared
        self._changed = changed

    # --- declaring --------------------------------------------------------------------------------------------------

    def every_minute(self, task: AnyTask, **options: Any) -> str:
        """Declare: at every full minute. Returns the schedule's name, as all of these."""
        return self.declare("* * * * *", task, **options)

    def every(self, every: float | timedelta, task: AnyTask, **options: Any) -> str:
        """Declare: every so many seconds (or a timedelta), counted from 1970, so that no restart shifts it."""
        return self.declare(spoken(every), task, **options)

    def hourly(self, task: AnyTask, minute: int = 0, **options: Any) -> str:
        """Declare: in every hour, at that minute."""
        if isinstance(minute, bool) or not isinstance(minute, int) or not 0 <= minute <= 59:
            raise InvalidOption(f"minute must be a whole number from 0 to 59, not {minute!r}")
        return self.declare(f"{minute} * * * *", task, **options)

    def daily(self, task: AnyTask, at: str | time = "00:00", **options: Any) -> str:
        """Declare: every day at a time, as `"03:00"` or `"7pm"`."""
        return self.declare(f"every day at {_clock(at)}", task, **options)

    def weekly(
        self, task: AnyTask, day: str | Sequence[str] = "sunday", at: str | time = "00:00", **options: Any
    ) -> str:
        """Declare: every week on a day (`"monday"`, `"weekday"`), or on several, at a time."""
        days = day if isinstance(day, str) else " and ".join(day)
        return self.declare(f"every {days} at {_clock(at)}", task, **options)

    def monthly(self, task: AnyTask, day: int | str = 1, at: str | time = "00:00", **options: Any) -> str:
        """Declare: every month on a day (1 to 31; months without it are left out), or on the `"last"`, at a time."""
        if day != "last" and (isinstance(day, bool) or not isinstance(day, int) or not 1 <= day <= 31):
            raise InvalidOption(f"day must be a whole number from 1 to 31, or 'last', not {day!r}")
        which = "last day" if isinstance(day, str) else f"{day}{_ENDINGS.get(day, 'th')}"
        return self.declare(f"on the {which} of the month at {_clock(at)}", task, **options)

    def cron(self, expression: str, task: AnyTask, **options: Any) -> str:
        """Declare by a cron expression of 5 fields, of 6 with the seconds first, or `@daily` and the like."""
        parse_cron(expression)
        return self.declare(expression, task, **options)

    def declare(self, expression: str, task: AnyTask, **options: Any) -> str:
        """Declare by an expression in cron or plain English, told apart by trying both; the schedule's name.

        Without `name` it has its task's, and the expression's as well where that is taken.
        """
        schedule_options.check(options)
        parse(expression)
        found, job = schedule_options.target(self._engine, task)
        name = schedule_options.name_of(self._name(found.name, expression) if _unnamed(options) else options["name"])
        origin = self._declared.code
        self._declared.add(
            name, lambda: schedule_options.define(self._engine, expression, found, job, origin, **options)
        )
        self._changed()
        return name

    def declare_late(self, expression: str, task: str, **options: Any) -> None:
        """Declare, for the configuration file, what has a name and a task that is not declared yet."""
        schedule_options.check(options)
        parse(expression)
        zone(options.get("tz"))

        def make() -> Definition:
            found, job = schedule_options.target(self._engine, task)
            return schedule_options.define(self._engine, expression, found, job, self._declared.file, **options)

        self._declared.add(schedule_options.name_of(options["name"]), make, late=True)

    def _name(self, task: str, expression: str) -> str:
        return f"{task} {expression}" if task in self._declared else task

    # --- making -----------------------------------------------------------------------------------------------------

    def add(self, expression: str, task: AnyTask, **options: Any) -> ScheduleRecord:
        """Make a schedule in the store, by cron or plain English; or change the one that has its name.

        It stays until it is removed. Raises `InvalidOption`, also where the name is that of a declared one.
        """
        made = self._engine.play(self._add(expression, task, options))
        self._changed()
        return made

    async def aadd(self, expression: str, task: AnyTask, **options: Any) -> ScheduleRecord:
        """As `add`."""
        made = await self._engine.aplay(self._add(expression, task, options))
        self._changed()
        return made

    def _add(self, expression: str, task: AnyTask, options: Mapping[str, Any]) -> Script[ScheduleRecord]:
        schedule_options.check(options)
        found, job = schedule_options.target(self._engine, task)
        name = schedule_options.name_of(found.name if _unnamed(options) else options["name"])
        definition = schedule_options.define(self._engine, expression, found, job, BY_HAND, **options)
        while True:
            known = yield self._store.read([name])
            schedule = known.schedules[0] if known.schedules else None
            self._refuse_declared(name, schedule)
            put = ticks.declare(name, schedule, definition, known.now)
            if put is None or (yield self._store.put([put]))[0]:
                break
        return (yield from self._get(name))

    def _refuse_declared(self, name: str, schedule: Schedule | None) -> None:
        document = None if schedule is None else read(schedule)
        theirs = document is not None and not document.retired and document.definition.origin != BY_HAND
        if theirs or name in self._declared:
            where = document.definition.origin if document is not None else self._declared.code
            raise InvalidOption(f"the schedule {name!r} is declared ({where}): change it there, or give another name=")

    def preview(self, expression: str, task: AnyTask, *, count: int = 5, **options: Any) -> Sequence[datetime]:
        """The next ticks of a schedule as `add` would make it, checked as `add` checks. Nothing is written."""
        schedule_options.check(options)
        found, job = schedule_options.target(self._engine, task)
        schedule_options.name_of(found.name if _unnamed(options) else options["name"])
        definition = schedule_options.define(self._engine, expression, found, job, BY_HAND, **options)
        return [
            to_datetime(tick).astimezone(definition.zone) for tick in ticks.upcoming(definition, clock.now(), count)
        ]

    # --- reading ----------------------------------------------------------------------------------------------------

    def get(self, name: str) -> ScheduleRecord:
        """The record of a schedule. Raises `ScheduleNotFound`."""
        return self._engine.play(self._get(name))

    async def aget(self, name: str) -> ScheduleRecord:
        """As `get`."""
        return await self._engine.aplay(self._get(name))

    def _get(self, name: str) -> Script[ScheduleRecord]:
        _check_name(name)
        found = yield self._store.read([name])
        if found.schedules:
            return record(found.schedules[0], read(found.schedules[0]))
        return _declared_only(name, self._definition(name), found.now)

    def list(self) -> Sequence[ScheduleRecord]:
        """All schedules, by name: those in the store, and those declared here that no scheduler took up yet."""
        return self._engine.play(self._list())

    async def alist(self) -> Sequence[ScheduleRecord]:
        """As `list`."""
        return await self._engine.aplay(self._list())

    def _list(self) -> Script[_Records]:
        found = yield self._store.read()
        records = {schedule.name: record(schedule, read(schedule)) for schedule in found.schedules}
        for name, definition in self._declared.all().items():
            if name not in records and isinstance(definition, Definition):
                records[name] = _declared_only(name, definition, found.now)
        return [records[name] for name in sorted(records)]

    def next(self, name_or_expression: str, count: int = 5, tz: str | None = None) -> Sequence[datetime]:
        """The next ticks of a schedule, or of an expression in a time zone (else UTC), as aware datetimes there.

        Pauses are not looked at. Raises `InvalidOption` for what is neither.
        """
        try:
            return self._engine.play(self._next(name_or_expression, count, tz))
        except StoreUnavailable:
            return _of_expression(name_or_expression, count, tz, clock.now())

    async def anext(self, name_or_expression: str, count: int = 5, tz: str | None = None) -> Sequence[datetime]:
        """As `next`."""
        try:
            return await self._engine.aplay(self._next(name_or_expression, count, tz))
        except StoreUnavailable:
            return _of_expression(name_or_expression, count, tz, clock.now())

    def _next(self, text: str, count: int, tz: str | None) -> Script[Sequence[datetime]]:
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InvalidOption(f"count must be a whole number, not {count!r}")
        definition = self._declared.get(text)
        now = clock.now()
        if self._engine.connection.driver.exists():
            found = yield self._store.read([text])
            now = found.now
            definition = read(found.schedules[0]).definition if found.schedules else definition
        if definition is None:
            return _of_expression(text, count, tz, now)
        where = definition.zone if tz is None else zone(tz)
        return [to_datetime(tick).astimezone(where) for tick in ticks.upcoming(definition, now, count)]

    # --- changing ---------------------------------------------------------------------------------------------------

    def pause(self, name: str) -> ScheduleRecord:
        """Let it fire no more until it is resumed, whatever is deployed meanwhile. Raises `ScheduleNotFound`."""
        return self._engine.play(self._change(name, lambda schedule, _: ticks.pause(schedule)))

    async def apause(self, name: str) -> ScheduleRecord:
        """As `pause`."""
        return await self._engine.aplay(self._change(name, lambda schedule, _: ticks.pause(schedule)))

    def resume(self, name: str) -> ScheduleRecord:
        """Let it fire again, from now on; ticks of the pause are not made up for. Raises `ScheduleNotFound`."""
        return self._told(self._engine.play(self._change(name, ticks.resume)))

    async def aresume(self, name: str) -> ScheduleRecord:
        """As `resume`."""
        return self._told(await self._engine.aplay(self._change(name, ticks.resume)))

    def run_now(self, name: str) -> JobHandle[Any]:
        """Enqueue its job once more, now, even if it is paused. Its ticks stay. Raises `ScheduleNotFound`."""
        id = self._engine.new_ids()
        made = self._engine.play(self._change(name, lambda schedule, now: ticks.run_now(schedule, now, id)))
        if self._engine.local is not None:
            self._engine.local.added([Inserted(id, True)])
        return self._handle(made, id)

    async def arun_now(self, name: str) -> JobHandle[Any]:
        """As `run_now`."""
        id = self._engine.new_ids()
        made = await self._engine.aplay(self._change(name, lambda schedule, now: ticks.run_now(schedule, now, id)))
        if self._engine.local is not None:
            await self._engine.local.aadded([Inserted(id, True)])
        return self._handle(made, id)

    def remove(self, name: str) -> None:
        """Forget it, with its history; its jobs stay. Raises `ScheduleNotFound`.

        One that is declared comes back when a scheduler starts whose code declares it: remove it there, or pause it.
        """
        self._engine.play(self._remove(name))

    async def aremove(self, name: str) -> None:
        """As `remove`."""
        await self._engine.aplay(self._remove(name))

    def _remove(self, name: str) -> Script[None]:
        _check_name(name)
        was_declared = name in self._declared
        self._declared.forget(name)
        if not (yield self._store.drop(name)) and not was_declared:
            raise ScheduleNotFound(name)

    def _change(self, name: str, decide: Decide) -> Script[ScheduleRecord]:
        """Write what is decided of the schedule as it is, however often it is written by others meanwhile."""
        _check_name(name)
        while True:
            found = yield self._store.read([name])
            if not found.schedules:
                first = ticks.declare(name, None, self._definition(name), found.now)
                assert first is not None, "what is not there is written"
                yield self._store.put([first])
                continue
            put = decide(found.schedules[0], found.now)
            if put is None or (yield self._store.put([self._as_kept(put)]))[0]:
                return (yield from self._get(name))

    # --- parts ------------------------------------------------------------------------------------------------------

    @property
    def _store(self) -> ScheduleStore:
        return self._engine.connection.store.schedules

    def _definition(self, name: str) -> Definition:
        """What is declared here under that name. Raises `ScheduleNotFound`."""
        definition = self._declared.get(name)
        if definition is None:
            raise ScheduleNotFound(name)
        return definition

    def _as_kept(self, put: Put) -> Put:
        return Put(put.schedule, tuple(self._engine.as_kept(put.jobs)))

    def _told(self, made: ScheduleRecord) -> ScheduleRecord:
        self._changed()
        return made

    def _handle(self, made: ScheduleRecord, id: str) -> JobHandle[Any]:
        known = made.task in self._engine.registry
        decode: Callable[[str], Any] = self._engine.registry.get(made.task).results.decode if known else _plain
        return JobHandle(self._engine, id, created=True, decode=decode)


def _check_name(name: str) -> None:
    """Raises `ScheduleNotFound` for what no schedule can be called."""
    if not is_storable(name):
        raise ScheduleNotFound(name)


def _plain(text: str) -> Any:
    return msgspec.json.decode(text)


def _unnamed(options: Mapping[str, Any]) -> bool:
    return options.get("name") is None


def _declared_only(name: str, definition: Definition, now: int) -> ScheduleRecord:
    """The record of a schedule that is not in the store."""
    next_at = ticks.next_tick(definition, now)
    return record(Schedule(name, "", next_at), Document(definition=definition))


def _of_expression(text: str, count: int, tz: str | None, now: int) -> Sequence[datetime]:
    where = zone(tz)
    found: list[datetime] = []
    for tick in parse(text).ticks(now, where):
        if len(found) >= count:
            break
        found.append(to_datetime(tick).astimezone(where))
    return found


def _clock(at: str | time) -> str:
    if isinstance(at, time):
        return at.isoformat("seconds")
    if not isinstance(at, str) or not _CLOCK.fullmatch(at.strip()):
        raise InvalidOption(f"at must be a time of day, as '03:00' or '7pm', not {at!r}")
    return at.strip()
