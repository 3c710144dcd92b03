"""A new job made of an old one, by a form in which its arguments can be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from stoker.call import Call
from stoker.errors import InvalidArguments, InvalidOption
from stoker.job import Inserted
from stoker.options import Options
from stoker.task import Task
from stoker.web.arguments import fitting
from stoker.web.dashboard.draft import Draft
from stoker.web.dashboard.words import pretty
from stoker.web.desk import Desk
from stoker.web.identity import Identity
from stoker.web.present import HIDDEN, TOO_DEEP, stored_key
from stoker.web.problem import Problem

FIELDS: Final = ("args", "kwargs", "queue", "priority", "delay", "max_attempts", "owner", "key", "tags")
_NOT_SHOWN: Final = (HIDDEN, TOO_DEEP)


def begun(task: Task, shown: Mapping[str, Any]) -> tuple[Draft, Sequence[str]]:
    """The form as it is at first, of the record as it is shown; and what was left out of it, because it is secret.

    From the first secret argument on, those by position are written by name.
    """
    args, kwargs, left_out = list(shown["args"]), dict(shown["kwargs"]), []
    secret = next((index for index, value in enumerate(args) if _holds_hidden(value)), None)
    if secret is not None:
        named = [name for name, _, _ in task.calls.named(args, {})]
        for name, value in zip(named[secret:], args[secret:], strict=True):
            kwargs.setdefault(name, value)
        del args[secret:]
    for name in [name for name, value in kwargs.items() if _holds_hidden(value)]:
        left_out.append(name)
        del kwargs[name]
    texts = {
        "args": pretty(args),
        "kwargs": pretty(kwargs),
        "queue": shown["queue"],
        "priority": str(shown["priority"]),
        "delay": "",
        "max_attempts": str(shown["max_attempts"]),
        "owner": shown["owner"] or "",
        "key": shown["key"] or "",
        "tags": ", ".join(shown["tags"]),
    }
    return Draft(texts), left_out


async def enqueue(desk: Desk, task: Task, draft: Draft, identity: Identity) -> Inserted | None:
    """The new job, or the one in its place; None where something is wrong, which the draft then says at its field."""
    args: Sequence[Any] = draft.read("args", lambda text: _list(_json(text)), ())
    kwargs: Mapping[str, Any] = draft.read("kwargs", lambda text: _object(_json(text)), {})
    options = _options(desk, task, draft, identity)
    if draft.errors:
        return None
    engine = desk.app.engine
    with draft.checking():
        try:
            with fitting(task, args, kwargs) as (fit_args, fit_kwargs):
                new = Call(task, options, fit_args, fit_kwargs).new_job(engine.new_ids())
        except Problem as problem:
            raise InvalidArguments(problem.detail) from None
    if "" in draft.errors:
        wrong = draft.errors.pop("")
        named = any(f"'{name}'" in wrong or f"`{name}`" in wrong for name in kwargs)
        draft.errors["kwargs" if named else "args"] = wrong
        return None
    [made] = await engine.ainsert_jobs([new])
    if not made.created and not identity.reaches((await desk.app.jobs.aget(made.id)).owner):
        draft.errors["key"] = "another job stands in this one's place; choose another key, or try again later"
        return None
    return made


def _options(desk: Desk, task: Task, draft: Draft, identity: Identity) -> Options:
    """The task's options with what was typed, each checked by itself, so that what is wrong stands at its field."""
    readers: Mapping[str, Callable[[str], Any]] = {
        "queue": str,
        "priority": _number,
        "delay": _seconds,
        "max_attempts": _number,
        "owner": str,
        "key": str,
        "tags": lambda text: [tag.strip() for tag in text.split(",") if tag.strip()],
    }
    options = task.options
    for name, reader in readers.items():
        if not draft.texts[name] or not (identity.admin or name in desk.config.options):
            continue
        with draft.checking(name):
            options = options.using({name: reader(draft.texts[name])})
    if isinstance(options.key, str) and draft.texts["key"]:
        options = replace(options, key=stored_key(options.key, identity))
    return options if identity.admin else replace(options, owner=identity.owner)


def _json(text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArguments(f"this is not JSON: {error}") from None
    if _holds_hidden(value):
        raise InvalidArguments(
            f"{HIDDEN!r} stands for a value that is not shown: write the value itself, or leave it out"
        )
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise InvalidArguments('arguments by position are a list: ["cat.jpg", 80]')
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidArguments('arguments by name are an object: {"width": 80}')
    return value


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidOption(f"write a whole number, not {text[:50]!r}") from None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidOption(f"write seconds, as 60 or 0.5, not {text[:50]!r}") from None


def _holds_hidden(value: Any) -> bool:
    """Whether a value that is not shown is in it, at any depth that is shown."""
    if isinstance(value, Mapping):
        return any(_holds_hidden(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_hidden(inner) for inner in value)
    return value in _NOT_SHOWN
