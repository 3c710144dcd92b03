"""Schedules: what fires when, what it did last; to run, pause, make, change and remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, Final
from zoneinfo import available_timezones

from msgspec import Struct
from starlette.responses import Response

from stoker import clock
from stoker.clock import to_datetime, to_instant
from stoker.errors import InvalidOption, ScheduleNotFound
from stoker.job import State
from stoker.schedule_record import ScheduleRecord
from stoker.store import Filter
from stoker.store import Page as Window
from stoker.timing import ticks
from stoker.timing.definition import BY_HAND, read
from stoker.timing.expression import EXAMPLES, parse
from stoker.timing.zone import zone
from stoker.web.dashboard.draft import Draft
from stoker.web.dashboard.fields import moment_in
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.page import Facts, Page, Post, Tab
from stoker.web.dashboard.schedule_form import EMPTY, FIELDS, Known, Wanted, wanted
from stoker.web.dashboard.spoken import spoken
from stoker.web.dashboard.visit import Visit
from stoker.web.desk import Desk
from stoker.web.problem import Problem

HERE: Final = "ui/schedules"
_IN_PAGE: Final = 50
_COMING: Final = 3
_PREVIEWED: Final = 5
_RUNS_IN_LIST: Final = 5


class Row(Struct, frozen=True):
    """A schedule, and what the list says of it besides."""

    record: ScheduleRecord
    words: str | None
    """its expression in words"""
    coming: Sequence[datetime]
    """its next times, where its clocks stand"""


class SchedulePages:
    """The list, one schedule, and its form."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._app = desk.app

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        tab = Tab("Schedules", "schedules", "s")
        return [
            Page(path=f"/{HERE}", template="schedules.html", facts=self._list, tab=tab, admins_only=True),
            Page(path=f"/{HERE}/one", template="schedule.html", facts=self._one, admins_only=True),
            Page(path=f"/{HERE}/new", template="schedule_form.html", facts=self._new, admins_only=True),
            Page(path=f"/{HERE}/change", template="schedule_form.html", facts=self._change, admins_only=True),
            Page(path=f"/{HERE}/preview", template="schedule_preview.html", facts=self._preview, admins_only=True),
        ]

    @property
    def posts(self) -> Sequence[Post]:
        """To be done."""
        return [
            Post(path=f"/{HERE}/run", do=self._run, admins_only=True),
            Post(path=f"/{HERE}/pause", do=self._pause, admins_only=True),
            Post(path=f"/{HERE}/resume", do=self._resume, admins_only=True),
            Post(path=f"/{HERE}/remove", do=self._remove, admins_only=True),
            Post(path=f"/{HERE}/new", do=self._make, admins_only=True),
            Post(path=f"/{HERE}/change", do=self._save, admins_only=True),
        ]

    # --- looking ----------------------------------------------------------------------------------------------------

    async def _list(self, visit: Visit) -> Facts:
        text, after = visit.query.get("text", "").strip(), visit.query.get("after", "")
        records = [record for record in await self._app.schedules.alist() if _matches(record, text)]
        rest = [record for record in records if record.name > after]
        shown = rest[:_IN_PAGE]
        now = clock.now()
        return {
            "rows": [_row(record, now) for record in shown],
            "states": await self._states_of(shown, _RUNS_IN_LIST),
            "runs_shown": _RUNS_IN_LIST,
            "text": text,
            "after": after,
            "next": shown[-1].name if len(rest) > len(shown) else None,
            "total": len(records),
        }

    async def _one(self, visit: Visit) -> Facts:
        record = await self._app.schedules.aget(visit.query.get("name", ""))
        args, kwargs = self._desk.presenter.arguments(record.task, record.args, record.kwargs)
        return {
            "row": _row(record, clock.now(), _PREVIEWED),
            "states": await self._states_of([record], len(record.runs)),
            "args": args,
            "kwargs": kwargs,
            "changeable": record.origin == BY_HAND,
        }

    async def _states_of(self, records: Sequence[ScheduleRecord], runs: int) -> Mapping[str, State]:
        """How the jobs of their last runs stand; those that are gone are left out."""
        ids = tuple(run.job for record in records for run in record.runs[-runs:] if run.job is not None)
        store = self._app.engine.connection.store
        if not ids:
            return {}
        return {
            job.id: job.state for job in await self._desk.answers.ask(store.find(Filter(ids=ids), Window(len(ids))))
        }

    async def _preview(self, visit: Visit) -> Facts:
        return preview(Draft({field: visit.query.get(field, "").strip() for field in FIELDS}), clock.now())

    # --- acting -----------------------------------------------------------------------------------------------------

    async def _run(self, visit: Visit, form: Form) -> Response:
        name = form.exact("name")
        job = await self._desk.acts(visit.reach).run_schedule(name)
        return await visit.go(f"ui/jobs/{job}", f"The schedule {name} made this job just now. Its ticks stay.")

    async def _pause(self, visit: Visit, form: Form) -> Response:
        name = form.exact("name")
        await self._desk.acts(visit.reach).pause_schedule(name)
        return await self._back(
            visit, form, name, f"The schedule {name} is paused: it makes no jobs until you resume it."
        )

    async def _resume(self, visit: Visit, form: Form) -> Response:
        name = form.exact("name")
        await self._desk.acts(visit.reach).resume_schedule(name)
        return await self._back(
            visit, form, name, f"The schedule {name} goes on. Ticks of the pause are not made up for."
        )

    async def _back(self, visit: Visit, form: Form, name: str, notice: str) -> Response:
        """To the page where the button was."""
        if form.text("from") == "one":
            return await visit.go(f"{HERE}/one", notice, name=name)
        return await visit.go(HERE, notice)

    async def _remove(self, visit: Visit, form: Form) -> Response:
        name = form.exact("name")
        record = await self._app.schedules.aget(name)
        if not form.flag("sure"):
            return visit.show("schedule_remove.html", {"record": record, "declared": record.origin != BY_HAND})
        await self._desk.acts(visit.reach).remove_schedule(name)
        return await visit.go(HERE, f"The schedule {name} is removed. Jobs that it made stay.")

    # --- the form ---------------------------------------------------------------------------------------------------

    async def _new(self, visit: Visit) -> Facts:
        return self._form_facts(Draft({**EMPTY, "task": visit.query.get("task", "")}), None)

    async def _change(self, visit: Visit) -> Facts:
        name = visit.query.get("name", "")
        known = await self._known(name)
        return self._form_facts(Draft({**known.texts, "name": name}), name)

    async def _make(self, visit: Visit, form: Form) -> Response:
        draft = Draft.of(form, FIELDS)
        want = None if form.flag("look") else wanted(draft, self._app)
        if want is not None and await self._is_taken(want.name):
            draft.errors["name"] = f"there is a schedule {want.name!r}: change that one, or take another name"
        if want is None or draft.errors:
            return visit.show("schedule_form.html", self._form_facts(draft, None), 422 if draft.errors else 200)
        return await self._write(visit, want, "made")

    async def _save(self, visit: Visit, form: Form) -> Response:
        name = form.exact("name")
        known = await self._known(name)
        draft = Draft({**Draft.of(form, FIELDS).texts, "name": name, "task": known.texts["task"]})
        want = None if form.flag("look") else wanted(draft, self._app, known)
        if want is None:
            return visit.show("schedule_form.html", self._form_facts(draft, name), 422 if draft.errors else 200)
        return await self._write(visit, want, "changed")

    async def _write(self, visit: Visit, want: Wanted, done: str) -> Response:
        record = await self._desk.acts(visit.reach).save_schedule(want.expression, want.task, want.options)
        return await visit.go(f"{HERE}/one", f"The schedule {record.name} is {done}.", name=record.name)

    async def _is_taken(self, name: str) -> bool:
        try:
            await self._app.schedules.aget(name)
        except ScheduleNotFound:
            return False
        return True

    async def _known(self, name: str) -> Known:
        """The schedule if it can be changed here. Raises a 404 or 409."""
        record = await self._app.schedules.aget(name)
        if record.origin != BY_HAND:
            raise Problem(409, "declared", f"this schedule is declared ({record.origin}): change it there")
        engine = self._app.engine
        [schedule] = (await engine.arun(engine.connection.store.schedules.read([name]))).schedules
        known = Known(read(schedule).definition, self._desk.presenter)
        if not known.changeable:
            raise Problem(
                409,
                "not-changeable-here",
                "its jobs have options that this form does not know (a timeout, a backoff, …) and would lose: "
                "change it in code, with app.schedules.add",
            )
        return known

    def _form_facts(self, draft: Draft, name: str | None) -> Facts:
        """`name`: the schedule that is changed; None: a new one."""
        return {
            "name": name,
            "tasks": sorted(self._app.registry.names),
            "zones": _zones(),
            "examples": [example.strip("'") for example in EXAMPLES],
            **preview(draft, clock.now()),
        }


def preview(draft: Draft, now: int) -> Mapping[str, Any]:
    """What the form says of the next times: `times`, or what is wrong in `refusal`; neither where it is blank."""
    texts = draft.texts
    facts: dict[str, Any] = {"draft": draft, "times": [], "refusal": None, "said": None}
    if not texts["expression"]:
        return facts
    try:
        where = zone(texts["tz"] or None)
        start, end = (moment_in(where, texts[name]) if texts[name] else None for name in ("start", "end"))
        facts["times"] = times(texts["expression"], texts["tz"], start, end, now, _PREVIEWED)
        facts["said"] = spoken(texts["expression"])
    except InvalidOption as error:
        facts["refusal"] = str(error)
    return facts


def times(
    expression: str, tz: str | None, start: datetime | None, end: datetime | None, now: int, count: int
) -> list[datetime]:
    """The next times of a schedule, by the clocks of its zone, as far as calendars go."""
    where = zone(tz or None)
    bounds = (None if moment is None else to_instant(moment) for moment in (start, end))
    found: list[datetime] = []
    with suppress(OverflowError):  # in the zone, it is the year 10000 already
        coming = islice(ticks.coming(parse(expression), where, now, *bounds), count)
        found.extend(to_datetime(tick).astimezone(where) for tick in coming)
    return found


def _row(record: ScheduleRecord, now: int, count: int = _COMING) -> Row:
    shown: Sequence[datetime] = ()
    if record.state == "active":
        with suppress(InvalidOption):  # an expression or a zone that only another version knows
            shown = times(record.expression, record.tz, record.start, record.end, now, count)
    return Row(record, spoken(record.expression), shown)


def _matches(record: ScheduleRecord, text: str) -> bool:
    low = text.lower()
    return any(low in part.lower() for part in (record.name, record.task, record.expression))


@cache
def _zones() -> Sequence[str]:
    return sorted(available_timezones())
