"""Rows of the PostgreSQL store: outcomes and records as its statements take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from stoker.job import NewJob, Outcome, State
from stoker.stores.outcomes import consequence, is_plain
from stoker.stores.record import CODES, COLUMNS, Record, to_json

SEPARATOR: Final = "\x1e"
"""Stands between results that travel as one text. No JSON document holds it: there, control characters are escaped."""

_TYPES: Final = {
    **dict.fromkeys(("run_at", "keep_for", "created_at", "updated_at", "started_at", "finished_at", "fence"), "bigint"),
    **dict.fromkeys(("attempt", "crashes", "max_attempts", "max_crashes"), "integer"),
    **dict.fromkeys(("state", "priority"), "smallint"),
    "progress": "double precision",
    "parent_failed": "boolean",
}
"""Of columns that are not text."""


class Settlement:
    """Outcomes, sorted out: the plain ones as columns, the others as JSON. Columns cost the least on both sides."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = outcomes
        plain = sorted([o for o in outcomes if is_plain(o)], key=_ref)  # in the order in which rows are locked
        self.results = SEPARATOR.join([o.result or "" for o in plain])
        odd = self.results.count(SEPARATOR) >= len(plain) > 0
        self._singly = odd or len({o.ref for o in outcomes}) < len(outcomes)
        if self._singly:  # of two outcomes of one claim the first counts
            plain, self.results = [], ""
        others = [o for o in outcomes if self._singly or not is_plain(o)] if len(plain) < len(outcomes) else []
        self.refs = numbers([o.ref for o in plain])
        self.fences = numbers([o.fence for o in plain])
        self.others = to_json([consequence(o) for o in others]) if others else None

    def refused(self, refs: Sequence[int]) -> list[int]:
        """The refs that were refused, in the order of the outcomes."""
        if not refs or self._singly:
            return list(refs)
        chosen = frozenset(refs)
        return [outcome.ref for outcome in self._outcomes if outcome.ref in chosen]


def _ref(outcome: Outcome) -> int:
    return outcome.ref


def numbers(values: Sequence[int]) -> str:
    """Numbers as an array in PostgreSQL's own notation: ten times as fast as one by one."""
    return f"{{{','.join(map(str, values))}}}"


def is_related(jobs: Sequence[NewJob]) -> bool:
    """Whether some of the jobs have to do with others: by parents, a limit, or a guard."""
    return any(job.parents or job.limit or job.guard or job.extends is not None for job in jobs)


def restored(record: Record) -> dict[str, Any]:
    """A record as the statement `restore` reads it."""
    return msgspec.structs.asdict(record) | {"state": CODES[record.state]}


def restoring(statement: str, schema: str) -> str:
    """The statement `restore` with the columns of a record put in; the database gives the number."""
    stored = [name for name in COLUMNS if name not in ("ref", "open_parents")]
    worker = f'(SELECT known.ref FROM "{schema}".workers AS known WHERE known.id = record.worker)'  # noqa: S608
    return statement.format(
        columns=", ".join(stored),
        values=", ".join(worker if name == "worker" else name for name in stored),
        types=", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in stored),
    )


def logging(statement: str, schema: str) -> str:
    """A statement that calls a function at an instant, with what attempts logged taken in before, at the same one."""
    first = f'FROM "{schema}".log(%(said)s::text::json, %(longest)s, %(attempts)s, %(now)s::bigint) AS at'
    return statement.replace("%(now)s::bigint", "at").replace("FROM ", f"{first} CROSS JOIN LATERAL ", 1)


def finding(statement: str, schema: str) -> str:
    """A statement with the columns of a record of `job` put in.

    A worker is shown by its id, and what a waiting job waits for is looked up.
    """
    worker = f'SELECT known.id FROM "{schema}".workers AS known WHERE known.ref = job.worker'  # noqa: S608
    parents = f'SELECT json_agg(parent ORDER BY parent)::text FROM "{schema}".edges WHERE child = job.id'  # noqa: S608
    waits = f"CASE WHEN state = {CODES[State.WAITING]} THEN ({parents}) END"
    derived = {"worker": f"({worker})", "open_parents": waits}
    columns = ", ".join(f"{derived[name]} AS {name}" if name in derived else name for name in COLUMNS)
    return statement.replace("{columns}", columns)
