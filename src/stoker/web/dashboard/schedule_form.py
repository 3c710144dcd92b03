"""The form of a schedule: read with an error at each field that has one, and filled with what a schedule says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, tzinfo
from functools import partial
from itertools import zip_longest
from typing import Any, Final

import msgspec
from msgspec import Struct

from stoker.app import Stoker
from stoker.clock import SECOND
from stoker.errors import InvalidArguments, InvalidOption, TaskError
from stoker.options import Options
from stoker.schedule_options import name_of
from stoker.timing.definition import Definition, Misfire, Overlap
from stoker.timing.expression import parse
from stoker.timing.zone import zone
from stoker.web.dashboard.draft import Draft
from stoker.web.dashboard.fields import json_list, json_object, json_text, moment_in, moment_text, seconds, whole_number
from stoker.web.present import HIDDEN, Presenter

FIELDS: Final = (
    *("name", "expression", "task", "args", "kwargs", "tz", "queue", "priority"),
    *("misfire", "overlap", "jitter", "start", "end", "run_on_start"),
)
_WHEN: Final = ("expression", "tz", "start", "end")
"""The fields that say when it fires."""
EMPTY: Final[Mapping[str, str]] = dict.fromkeys(FIELDS, "")


class Wanted(Struct, frozen=True):
    """A schedule as somebody wants it: what `app.schedules.add` takes."""

    expression: str
    task: str
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What it will be called."""
        name: str = self.options["name"]
        return name


def wanted(draft: Draft, app: Stoker, known: Known | None = None) -> Wanted | None:
    """What the draft asks for; None where something is wrong, which is noted in it then.

    `known`: the schedule that it changes, if it does.
    """
    texts = draft.texts
    with draft.checking("task"):
        if not texts["task"]:
            raise InvalidOption("choose the task that it runs")
        texts["task"] = app.registry.find(texts["task"]).name
    with draft.checking("expression"):
        parse(texts["expression"])
    args: list[Any] = draft.read("args", json_list, [])
    kwargs: dict[str, Any] = draft.read("kwargs", json_object, {})
    jobs = {"queue": draft.read("queue", _queue, None), "priority": draft.read("priority", _priority, None)}
    tz = draft.read("tz", _zone, None)
    moment = partial(moment_in, zone(tz))
    given = {name: option for name, option in jobs.items() if option is not None}
    options = {
        "name": draft.read("name", name_of, texts["task"]),
        "args": args if known is None else revealed(args, *known.args),
        "kwargs": kwargs if known is None else revealed(kwargs, *known.kwargs),
        "tz": tz,
        "misfire": texts["misfire"] or Misfire.ONE,
        "overlap": texts["overlap"] or Overlap.ALLOW,
        "jitter": draft.read("jitter", seconds, 0.0),
        "start": draft.read("start", moment, None),
        "end": draft.read("end", moment, None),
        "run_on_start": texts["run_on_start"] == "yes",
        "options": given if known is None else {**known.kept, **given},
    }
    if not draft.errors:
        _check_together(draft, app, options)
    if not draft.errors and (known is None or any(texts[field] != known.texts[field] for field in _WHEN)):
        _check_coming(draft, app, options)
    return None if draft.errors else Wanted(texts["expression"], texts["task"], options)


def _check_together(draft: Draft, app: Stoker, options: Mapping[str, Any]) -> None:
    """Note what `add` would refuse, at the field that it names."""
    try:
        app.schedules.preview(draft.texts["expression"], draft.texts["task"], count=0, **options)
    except InvalidArguments as error:
        draft.errors["args"] = str(error)
    except (InvalidOption, TaskError) as error:
        named = str(error).partition(" ")[0]
        when = _bound(draft) if str(error).startswith(repr(draft.texts["expression"])) else ""
        draft.errors[named if named in FIELDS else when] = str(error)


def _check_coming(draft: Draft, app: Stoker, options: Mapping[str, Any]) -> None:
    """Note where a schedule would never fire."""
    if not app.schedules.preview(draft.texts["expression"], draft.texts["task"], count=1, **options):
        draft.errors[_bound(draft)] = "it would never run: there is no such time from now on, up to its end"


def _bound(draft: Draft) -> str:
    """The field that is most likely to be wrong where a schedule never fires."""
    return "end" if draft.texts["end"] else "expression"


class Known:
    """A schedule that was made at run time, as its form shows it, and what the form does not show."""

    def __init__(self, definition: Definition, presenter: Presenter) -> None:
        args, kwargs = msgspec.json.decode(definition.job.payload)
        shown_args, shown_kwargs = presenter.arguments(definition.job.task, args, kwargs)
        self.args = shown_args, args
        """as they are shown, and as they are"""
        self.kwargs = shown_kwargs, kwargs
        self._definition = definition

    @property
    def changeable(self) -> bool:
        """Whether nothing would be lost: options of its worker cannot be told from those of the task."""
        return self._definition.job.overrides is None

    @property
    def kept(self) -> Mapping[str, Any]:
        """Options of its jobs that the form does not show, so that they stay as they are."""
        job = self._definition.job
        return {
            "max_attempts": job.max_attempts,
            "max_crashes": job.max_crashes,
            "keep_for": job.keep_for / SECOND,
            "owner": job.owner,
            "key": job.key,
            "tags": job.tags,
            "meta": None if job.meta is None else msgspec.json.decode(job.meta),
        }

    @property
    def texts(self) -> Mapping[str, str]:
        """What the form shows."""
        definition = self._definition
        where: tzinfo = UTC
        with suppress(InvalidOption):  # a zone that is not known here, which is told once the form is sent
            where = definition.zone
        return {
            "expression": definition.expression,
            "task": definition.job.task,
            "args": json_text(self.args[0]) if self.args[0] else "",
            "kwargs": json_text(self.kwargs[0]) if self.kwargs[0] else "",
            "tz": definition.tz or "",
            "queue": definition.job.queue,
            "priority": str(definition.job.priority or ""),
            "misfire": definition.misfire.value,
            "overlap": definition.overlap.value,
            "jitter": f"{definition.jitter / SECOND:g}" if definition.jitter else "",
            "start": "" if definition.start is None else moment_text(definition.start, where),
            "end": "" if definition.end is None else moment_text(definition.end, where),
            "run_on_start": "yes" if definition.run_on_start else "",
        }


def revealed(typed: Any, shown: Any, real: Any) -> Any:
    """What was typed, with the real value wherever what stands for a secret one was left as it was shown."""
    if typed == shown == HIDDEN:
        return real
    if isinstance(typed, dict) and isinstance(shown, dict):
        return {name: revealed(value, shown.get(name), real.get(name)) for name, value in typed.items()}
    if isinstance(typed, list) and isinstance(shown, list):
        pairs = zip_longest(shown[: len(typed)], real[: len(typed)])
        both = [*pairs, *[(None, None)] * (len(typed) - len(shown))]
        return [revealed(value, *pair) for value, pair in zip(typed, both, strict=True)]
    return typed


def _zone(text: str) -> str:
    zone(text)  # it refuses a name that is none, and says which are like it
    return text


def _priority(text: str) -> int:
    return Options().using({"priority": whole_number(text)}).priority


def _queue(text: str) -> str:
    return Options().using({"queue": text}).queue
