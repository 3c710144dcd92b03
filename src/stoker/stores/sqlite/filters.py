"""A `Filter` as a condition of SQL. Values are always parameters; only names from this file become text."""

from __future__ import annotations

from typing import Any

from stoker.job import LIVE, State
from stoker.store import Action, Change, Filter
from stoker.stores.record import CODES, PARKED, to_json
from stoker.stores.states import ENDED_BADLY, PROCESSING

_BAD = frozenset({State.FAILED, State.CANCELLED})


def state_in(*states: State) -> str:
    """The condition that a row is in one of these states; what is parked is queued.

    Literals, not parameters: only so does SQLite know that a partial index holds all the rows.
    """
    codes = sorted({CODES[State(state)] for state in states} | ({PARKED} if State.QUEUED in states else set()))
    found = f"state = {codes[0]}" if len(codes) == 1 else f"state IN ({', '.join(map(str, codes))})"
    return f"{found} AND {ENDED_BADLY}" if _BAD.issuperset(states) else found


_CONDITIONS = {
    "queue": "queue = :queue",
    "task": "task = :task",
    "tag": "EXISTS (SELECT 1 FROM json_each(tags) AS tag WHERE tag.value = :tag)",
    "owner": "owner = :owner",
    "workflow": "workflow = :workflow",
    "key": "key = :key",
    "text": "instr(lower(payload), lower(:text)) > 0",
}

_DEAD = "coalesce(worker, 0) NOT IN (SELECT ref FROM stoker_workers WHERE lease_until > :now)"

_TWIN = f"SELECT 1 FROM stoker_jobs AS twin WHERE twin.key = stoker_jobs.key AND twin.{state_in(*LIVE)}"  # noqa: S608

_NEEDED = (
    "(on_parent_failure IS NOT 'only' OR parents IS NULL OR EXISTS ("  # noqa: S608 - names of our own
    "SELECT 1 FROM json_each(stoker_jobs.parents) AS name CROSS JOIN stoker_jobs AS parent "
    f"WHERE parent.id = name.value AND parent.ref <> stoker_jobs.ref AND parent.state <> {CODES[State.COMPLETED]}))"
)

_OPEN = {
    Action.CANCEL: f"{state_in(*LIVE)} AND cancelling IS NULL",
    Action.RETRY: f"{ENDED_BADLY} AND (key IS NULL OR NOT EXISTS ({_TWIN})) AND {_NEEDED}",
    Action.REQUEUE: f"{PROCESSING} AND {_DEAD}",
    Action.PRIORITISE: f"{state_in(State.WAITING, State.SCHEDULED, State.QUEUED)} AND priority <> :priority",
    Action.DELETE: f"(NOT {PROCESSING} OR {_DEAD})",
}


def matching(which: Filter, now: int) -> tuple[str, dict[str, Any]]:
    """The condition that a row matches the filter, and its parameters."""
    conditions = [text for name, text in _CONDITIONS.items() if getattr(which, name) is not None]
    params: dict[str, Any] = {name: getattr(which, name) for name in _CONDITIONS if getattr(which, name) is not None}
    if which.ids is not None:
        conditions.append("id IN (SELECT value FROM json_each(:ids))")
        params["ids"] = to_json(which.ids)
    if which.states is not None:
        conditions.append(state_in(*which.states) if which.states else "0")
    if which.idle_for is not None:
        conditions.append("updated_at <= :idle_since")
        params["idle_since"] = now - which.idle_for
    return " AND ".join(conditions) or "1", params


def open_to(change: Change, now: int) -> tuple[str, dict[str, Any]]:
    """The condition that an action can be done to a row (the table stands in `Action`), and its parameters."""
    params: dict[str, Any] = {"now": now} if change.action in (Action.REQUEUE, Action.DELETE) else {}
    if change.action is Action.PRIORITISE:
        params["priority"] = change.priority
    return _OPEN[change.action], params
