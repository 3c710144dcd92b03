"""The options of a task or of one job: how people write them, and how they are kept.

`@app.task(...)` and `.using(...)` take the same names. What a job changes of the worker's options travels with it as
`Overrides`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast, get_args

import msgspec
from msgspec import Struct

from stoker.clock import SECOND, to_datetime, to_instant, to_span
from stoker.codec import encode
from stoker.errors import LONGEST, InvalidArguments, InvalidOption
from stoker.retry import Custom, Exponential, Fixed, Policy, as_backoff, type_name

Executor = Literal["loop", "thread", "process"]

KeyRule = str | Callable[..., str | None]

DAY: Final = 24 * 3600 * SECOND

KEEP_FOR: Final = 7 * DAY
"""How long finished jobs are kept, if their task does not say."""


class Rate(Struct, frozen=True):
    """So many in a period (a span)."""

    number: int
    period: int


class Options(Struct, frozen=True, kw_only=True):
    """Everything that can be said of a task, or of one job of it. Spans and instants are microseconds."""

    queue: str = "default"
    priority: int = 0
    delay: int = 0
    run_at: int | None = None
    key: KeyRule | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()
    meta: str | None = None
    max_attempts: int = 1
    max_crashes: int = 3
    keep_for: int = KEEP_FOR
    timeout: int | None = None
    executor: Executor | None = None
    """None: the loop for async functions, a thread for others"""
    policy: Policy = Policy()
    expose: bool = False
    """may be enqueued over HTTP"""
    concurrency: int | None = None
    rate: Rate | None = None
    by: str | None = None
    """the argument whose values the limits above, and the guards below, tell apart"""
    debounce: int | None = None
    throttle: int | None = None
    limited: bool = False
    """one of the five above is given"""
    workflow: str | None = None
    """of one job: the workflow that it is a step of"""
    fill: Literal["known", "all"] | None = None
    """of one job: results of other steps belong among its arguments, `all` of them or those that are known"""
    changed: tuple[str, ...] = ()
    """the worker's options that `using` changed"""

    @classmethod
    def declared(cls, given: Mapping[str, Any]) -> Options:
        """The options of a task as it is declared. Raises `InvalidOption` that names the option."""
        for name in ("delay", "run_at"):
            if name in given:
                raise InvalidOption(f"{name} is for one job, not for a task: use .using({name}=…)")
        return msgspec.structs.replace(cls().using(given), changed=())

    def using(self, given: Mapping[str, Any]) -> Options:
        """These options with others in their place. Raises `InvalidOption` that names the option."""
        changes: dict[str, Any] = {}
        policy: dict[str, Any] = {}
        for name, value in given.items():
            clean = _CLEAN.get(name)
            if name == "schedule":
                raise InvalidOption("schedule is for @app.task(…); for more, see app.schedules")
            if clean is None:
                known = ", ".join(sorted(_CLEAN))
                raise InvalidOption(f"there is no option {name!r}; the options are {known}")
            (policy if name in _POLICY else changes)[name] = clean(name, value)
        if "delay" in changes and changes.get("run_at") is not None:
            raise InvalidOption("give either delay or run_at, not both")
        if "delay" in changes:
            changes["run_at"] = None
        elif changes.get("run_at") is not None:
            changes["delay"] = 0
        for guard in ("debounce", "throttle"):
            if changes.get(guard) is not None:
                changes = {"debounce": None, "throttle": None} | changes
        if policy:
            changes["policy"] = msgspec.structs.replace(self.policy, **policy)
        changes["changed"] = tuple(sorted({*self.changed, *(given.keys() & _OF_WORKER)}))
        chosen: Options = msgspec.structs.replace(self, **changes)
        chosen._check_guards()
        limited = any(getattr(chosen, name) is not None for name in _LIMITS)
        return chosen if limited is chosen.limited else msgspec.structs.replace(chosen, limited=limited)

    def _check_guards(self) -> None:
        if self.debounce is not None and self.throttle is not None:
            raise InvalidOption("give either debounce or throttle, not both")
        if (self.debounce or self.throttle) is None:
            return
        name = "debounce" if self.debounce is not None else "throttle"
        if self.key is not None:
            raise InvalidOption(f"give either {name} or key, not both: each of them makes one job of many")
        if name == "debounce" and (self.delay or self.run_at is not None):
            raise InvalidOption("give either debounce or a delay, not both: debounce says when the job is due")

    def overrides(self, workflow: str | None = None, *, lenient: bool | None = None) -> str | None:
        """What travels with a job; None where there is nothing to say.

        `lenient`: results of other steps belong among the arguments, and it is no mistake if one is not there.
        """
        if not self.changed and workflow is None:
            return None
        facts: dict[str, Any] = {}
        if workflow is not None:
            facts["workflow"] = workflow
        if lenient is not None:
            facts["fill"] = "known" if lenient else "all"
        for name in self.changed:
            value = getattr(self.policy if name in _POLICY else self, name)
            if isinstance(value, Custom):
                raise InvalidOption(
                    "a backoff that is a function cannot travel with one job: use exponential(…) or fixed(…), "
                    "or set it on the task"
                )
            facts[name] = value
        return msgspec.json.encode(facts).decode()

    def overridden(self, text: str) -> Options:
        """These options as a job's overrides change them. What this version does not know is ignored."""
        given = _overrides.decode(text)
        facts: dict[str, Any] = {"workflow": given.workflow, "fill": given.fill}
        facts |= {name: value for name in _OF_WORKER if (value := getattr(given, name)) is not msgspec.UNSET}
        policy = {name: facts.pop(name) for name in _POLICY & facts.keys()}
        return msgspec.structs.replace(self, **facts, policy=msgspec.structs.replace(self.policy, **policy))


class _Overrides(Struct):
    workflow: str | None = None
    fill: Literal["known", "all"] | None = None
    timeout: int | msgspec.UnsetType | None = msgspec.UNSET
    executor: Executor | msgspec.UnsetType | None = msgspec.UNSET
    backoff: Exponential | Fixed | msgspec.UnsetType = msgspec.UNSET
    retry_on: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    fail_on: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


_LIMITS: Final = ("concurrency", "rate", "by", "debounce", "throttle")
_POLICY: Final = frozenset({"backoff", "retry_on", "fail_on"})
_OF_WORKER: Final = frozenset(_Overrides.__struct_fields__) - {"workflow", "fill"}
_overrides = msgspec.json.Decoder(_Overrides)


# --- how each option is read ----------------------------------------------------------------------------------------


def _span(name: str, value: Any) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST:
        raise InvalidOption(f"{name} must be zero or more seconds (or a timedelta), not {value!r}")
    return to_span(seconds)


def _optional_span(name: str, value: Any) -> int | None:
    span = None if value is None else _span(name, value)
    if span == 0:
        raise InvalidOption(f"{name} must be more than zero seconds, or None")
    return span


def _retention(name: str, value: Any) -> int:
    return KEEP_FOR if value is None else _span(name, value)


def _instant(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidOption(f"{name} must be a datetime, not {value!r}")
    if value.utcoffset() is None:
        raise InvalidOption(
            f"{name} must be an aware datetime: {value!r} has no time zone; "
            "write datetime(…, tzinfo=ZoneInfo('Europe/Berlin')), or use delay"
        )
    return within_calendar(name, to_instant(value))


def within_calendar(name: str, instant: int) -> int:
    """The instant, if there is a UTC datetime for it: at the ends of the calendar a zone's clocks reach further."""
    try:
        to_datetime(instant)
    except OverflowError:
        raise InvalidOption(f"{name} is outside of the years 1 to 9999 in UTC") from None
    return instant


def _number(least: int, most: int) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidOption(f"{name} must be a whole number from {least} to {most}, not {value!r}")
        return value

    return read


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 255 or "\x00" in value:
        raise InvalidOption(f"{name} must be a text of 1 to 255 characters, not {value!r}")
    return value


def _optional_name(name: str, value: Any) -> str | None:
    return None if value is None else _name(name, value)


def _key(name: str, value: Any) -> KeyRule | None:
    return cast(KeyRule, value) if callable(value) else _optional_name(name, value)


def _tags(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InvalidOption(f"{name} must be a list of texts, not one text: write [{value!r}]")
    try:
        return tuple(dict.fromkeys(_name("each of " + name, tag) for tag in value))
    except TypeError:
        raise InvalidOption(f"{name} must be a list of texts, not {value!r}") from None


def _executor(name: str, value: Any) -> Executor | None:
    if value is not None and value not in get_args(Executor):
        raise InvalidOption(f"{name} must be one of 'loop', 'thread' and 'process', not {value!r}")
    chosen: Executor | None = value
    return chosen


def _types(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, type | Iterable):
        raise InvalidOption(f"{name} takes exception types, not {value!r}")
    kinds = (value,) if isinstance(value, type) else tuple(value)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise InvalidOption(f"{name} takes exception types, not {kind!r}")
    return tuple(type_name(kind) for kind in kinds)


def _optional_types(name: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None else _types(name, value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidOption(f"{name} must be True or False, not {value!r}")
    return value


_PERIODS: Final = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY}
_RATE: Final = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})?\s*([smhd])\w*\s*")


def rate_of(name: str, value: Any) -> Rate | None:
    """A rate as people write it: `"100/m"`, `"1/10s"`."""
    if value is None:
        return None
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0 or match[2] == "0":
        raise InvalidOption(f"{name} must be like '100/m' (per s, m, h or d; '1/10s' for other spans), not {value!r}")
    rate = Rate(int(match[1]), int(match[2] or 1) * _PERIODS[match[3]])
    if not rate.number <= rate.period <= DAY * 366:
        raise InvalidOption(f"{name} must be at most one in a microsecond and at least one in a year, not {value!r}")
    return rate


def rate_text(rate: Rate) -> str:
    """As `rate_of` reads it: `100/m`, `1/10s`."""
    sizes = ((size, unit) for unit, size in reversed(_PERIODS.items()) if rate.period % size == 0)
    size, unit = next(sizes, (1, "µs"))
    return f"{rate.number}/{unit}" if rate.period == size else f"{rate.number}/{rate.period // size}{unit}"


def concurrency_of(name: str, value: Any) -> int | None:
    """A number of jobs at once; None: as many as there are."""
    return None if value is None else _number(1, 1_000_000)(name, value)


def _document(name: str, value: Any) -> str | None:
    try:
        return None if value is None else encode(value)
    except InvalidArguments as error:
        raise InvalidOption(f"{name} must be a JSON value: {error}") from error


_CLEAN: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "queue": _name,
    "priority": _number(-100, 100),
    "delay": _span,
    "run_at": _instant,
    "key": _key,
    "owner": _optional_name,
    "tags": _tags,
    "meta": _document,
    "max_attempts": _number(1, 1_000_000),
    "max_crashes": _number(1, 1_000_000),
    "keep_for": _retention,
    "timeout": _optional_span,
    "executor": _executor,
    "backoff": lambda _, value: as_backoff(value),
    "retry_on": _optional_types,
    "fail_on": _types,
    "expose": _flag,
    "concurrency": concurrency_of,
    "rate": rate_of,
    "by": _optional_name,
    "debounce": _optional_span,
    "throttle": _optional_span,
}
