"""A `Filter` as a condition of SQL. Values are always parameters; only names from this file become text."""

from __future__ import annotations

from typing import Any

from stoker.job import LIVE, State
from stoker.store import Action, Change, Filter
from stoker.stores.states import ENDED_BADLY, PROCESSING, STARTABLE, state_in

# Where an index holds the first characters only, these are asked for as well.
_CONDITIONS = {
    "queue": "left(queue, 255) = left(%(queue)s, 255) AND queue = %(queue)s",
    "task": "task = %(task)s",
    "tag": "EXISTS (SELECT FROM json_array_elements_text(tags::json) AS tag WHERE tag = %(tag)s)",
    "owner": "left(owner, 255) = left(%(owner)s, 255) AND owner = %(owner)s",
    "workflow": "left(workflow, 255) = left(%(workflow)s, 255) AND workflow = %(workflow)s",
    "key": "left(key, 255) = left(%(key)s, 255) AND key = %(key)s",
    "text": 'position(lower(%(text)s COLLATE "C") IN lower(payload)) > 0',
    "ids": "id = ANY (%(ids)s::text[])",
    "idle_for": 'updated_at <= "$schema".present(%(now)s::bigint) - %(idle_for)s',
}

_TWIN = (
    'EXISTS (SELECT FROM "$schema".jobs AS twin '
    f"WHERE left(twin.key, 255) = left(job.key, 255) AND twin.key = job.key AND twin.{state_in(*LIVE)})"
)
# One that is there for a failure is needed as long as it may see one.
_NEEDED = (
    "(on_parent_failure IS DISTINCT FROM 'only' OR parents IS NULL OR EXISTS ("
    "SELECT FROM json_array_elements_text(parents::json) AS named (id) "
    'JOIN "$schema".jobs AS parent ON parent.id = named.id '
    f"WHERE parent.id <> job.id AND NOT parent.{state_in(State.COMPLETED)}))"
)
_ALIVE = (
    'ARRAY(SELECT ref FROM "$schema".workers WHERE NOT lapsed AND lease_until > "$schema".present(%(now)s::bigint))'
)
_DEAD = f"(worker IS NULL OR worker <> ALL ({_ALIVE}))"

_OPEN = {
    Action.CANCEL: f"{state_in(*LIVE)} AND cancelling IS NULL",
    Action.RETRY: f"{ENDED_BADLY} AND (key IS NULL OR NOT {_TWIN}) AND {_NEEDED}",
    Action.REQUEUE: f"{PROCESSING} AND {_DEAD}",
    Action.PRIORITISE: f"{STARTABLE} AND priority <> %(priority)s",
    Action.DELETE: f"(NOT {PROCESSING} OR {_DEAD})",
}


def matching(which: Filter) -> tuple[str, dict[str, Any]]:
    """The condition that a row `job` matches the filter, and its parameters; `now` is to be added."""
    params: dict[str, Any] = {name: getattr(which, name) for name in _CONDITIONS if getattr(which, name) is not None}
    conditions = [_CONDITIONS[name] for name in params]
    if which.ids is not None:
        params["ids"] = list(which.ids)
    if which.states is not None:
        conditions.append(state_in(*which.states) if which.states else "false")
    return " AND ".join(conditions) or "true", params


def open_to(change: Change) -> tuple[str, dict[str, Any]]:
    """The condition that an action can be done to a row `job` (the table stands in `Action`), and its parameters."""
    return _OPEN[change.action], {"priority": change.priority} if change.action is Action.PRIORITISE else {}
