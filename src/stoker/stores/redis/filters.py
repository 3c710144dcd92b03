"""Filters, and what is to be done to the jobs that match, as `parts/filter.lua` reads them."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from stoker.job import LIVE, State
from stoker.store import Action, Change, Filter
from stoker.stores.record import CODES

_OPEN: Final = {
    Action.CANCEL: LIVE,
    Action.RETRY: frozenset({State.FAILED, State.CANCELLED}),
    Action.REQUEUE: frozenset({State.PROCESSING}),
    Action.PRIORITISE: LIVE - {State.PROCESSING},
    Action.DELETE: frozenset(State),
}
"""States that an action concerns at all (see `Action`); the scripts look closer."""


def narrowed(which: Filter, change: Change) -> Filter:
    """The filter, for the states that the action concerns."""
    concerned = _OPEN[change.action]
    if which.states is None:
        return which if concerned == frozenset(State) else replace(which, states=tuple(sorted(concerned)))
    return replace(which, states=tuple(state for state in which.states if state in concerned))


def asked_of(which: Filter, change: Change | None = None) -> dict[str, Any]:
    """What a script is asked of it. Ids are the trail's business."""
    given = {
        name: getattr(which, name) for name in ("queue", "task", "tag", "owner", "workflow", "key", "text", "idle_for")
    }
    if which.states is not None:
        given["states"] = [CODES[State(state)] for state in which.states]
    ask: dict[str, Any] = {"which": {name: value for name, value in given.items() if value is not None}}
    if change is not None:
        ask["change"] = {"action": change.action.value, "priority": change.priority}
        if change.reason is not None:
            ask["change"]["reason"] = change.reason
    return ask
