"""Which jobs, and what becomes of them, as people write it: ids, keywords, plain numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import msgspec

from stoker.clock import to_span
from stoker.errors import InvalidOption
from stoker.job import FINAL, State, storable
from stoker.store import Action, Change, Facet, Filter

Which = str | Filter | Iterable[str] | None
"""A job's id, several ids, or a filter; None: the filter that the keywords make."""

_PLAIN: Final = ("queue", "task", "tag", "owner", "workflow", "key", "text")


def filter_of(which: Which, filters: dict[str, Any]) -> Filter:
    """The filter that both make. Raises `InvalidOption`."""
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


def facet_of(by: str) -> Facet:
    """What jobs are counted by. Raises `InvalidOption`."""
    try:
        return Facet(by)
    except ValueError:
        raise InvalidOption(f"jobs are counted by {', '.join(Facet)}, not by {by!r}") from None


def cancelling(reason: str | None) -> Change:
    """To cancel, for a reason that every store can hold."""
    return Change(Action.CANCEL, None if reason is None else storable(reason))


def prioritising(priority: int) -> Change:
    """To give another priority, -100 to 100. Raises `InvalidOption`."""
    if isinstance(priority, bool) or not isinstance(priority, int) or not -100 <= priority <= 100:
        raise InvalidOption(f"priority must be a whole number from -100 to 100, not {priority!r}")
    return Change(Action.PRIORITISE, priority=priority)


def purgeable(states: Any, filters: dict[str, Any]) -> Filter:
    """Finished jobs of these states that match. Raises `InvalidOption`."""
    chosen = _states(states)
    unfinished = [state.value for state in chosen if state not in FINAL]
    if unfinished:
        raise InvalidOption(f"purge only deletes finished jobs, not {', '.join(unfinished)}; see delete and cancel")
    return filter_of(None, {**filters, "states": chosen})
