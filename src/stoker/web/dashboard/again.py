"""A new job made of an old one, by a form in which its arguments can be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from stoker.call import Call
from stoker.errors import InvalidArguments
from stoker.job import Inserted
from stoker.options import Options
from stoker.task import Task
from stoker.web.arguments import fitted
from stoker.web.dashboard.draft import Draft
from stoker.web.dashboard.fields import json_list, json_object, json_text, seconds, whole_number
from stoker.web.desk import Desk
from stoker.web.identity import Identity
from stoker.web.present import HIDDEN, TOO_DEEP, stored_key
from stoker.web.reach import Reach

T = TypeVar("T")

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
        "args": json_text(args),
        "kwargs": json_text(kwargs),
        "queue": shown["queue"],
        "priority": str(shown["priority"]),
        "delay": "",
        "max_attempts": str(shown["max_attempts"]),
        "owner": shown["owner"] or "",
        "key": shown["key"] or "",
        "tags": ", ".join(shown["tags"]),
    }
    return Draft(texts), left_out


async def enqueue(desk: Desk, task: Task, draft: Draft, reach: Reach, old: str) -> Inserted | None:
    """The new job, made of that old one, or the one in its place.

    None where something is wrong, which the draft then says at its field.
    """
    args: Sequence[Any] = draft.read("args", lambda text: _written(json_list(text)), ())
    kwargs: Mapping[str, Any] = draft.read("kwargs", lambda text: _written(json_object(text)), {})
    options = _options(desk, task, draft, reach.who)
    if draft.errors:
        return None
    engine = desk.app.engine
    with draft.checking():
        call = Call(task, options, *fitted(task, args, kwargs))
        engine.check_importable(call)
        new = call.new_job(engine.new_ids())
    if "" in draft.errors:
        wrong = draft.errors.pop("")
        named = any(f"'{name}'" in wrong or f"`{name}`" in wrong for name in kwargs)
        draft.errors["kwargs" if named else "args"] = wrong
        return None
    made = await desk.acts(reach).enqueue_again(new, old)
    if not made.created and not reach.who.reaches((await desk.app.jobs.aget(made.id)).owner):
        draft.errors["key"] = "another job stands in this one's place; choose another key, or try again later"
        return None
    return made


def _options(desk: Desk, task: Task, draft: Draft, identity: Identity) -> Options:
    """The task's options with what was typed, each checked by itself, so that what is wrong stands at its field."""
    readers: Mapping[str, Callable[[str], Any]] = {
        "queue": str,
        "priority": whole_number,
        "delay": seconds,
        "max_attempts": whole_number,
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


def _written(value: T) -> T:
    """The same, if all of it was written: what stands for a value that is not shown is none."""
    try:
        hidden = _holds_hidden(value)
    except RecursionError:
        raise InvalidArguments("these values are nested too deeply") from None
    if hidden:
        raise InvalidArguments(
            f"{HIDDEN!r} stands for a value that is not shown: write the value itself, or leave it out"
        )
    return value


def _holds_hidden(value: Any) -> bool:
    """Whether a value that is not shown is in it, at any depth that is shown."""
    if isinstance(value, Mapping):
        return any(_holds_hidden(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_hidden(inner) for inner in value)
    return value in _NOT_SHOWN
