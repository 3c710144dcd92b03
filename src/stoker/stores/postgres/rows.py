"""Rows of the PostgreSQL store: outcomes and records as its statements take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from stoker.job import Outcome
from stoker.stores.outcomes import consequence, is_plain
from stoker.stores.record import CODES, COLUMNS, Record, to_json

SEPARATOR: Final = "\x1e"
"""Stands between results that travel as one text. No JSON document holds it: there, control characters are escaped."""

_TYPES: Final = {
    **dict.fromkeys(("run_at", "keep_for", "created_at", "updated_at", "started_at", "finished_at", "fence"), "bigint"),
    **dict.fromkeys(("attempt", "crashes", "max_attempts", "max_crashes"), "integer"),
    **dict.fromkeys(("state", "priority"), "smallint"),
    "progress": "double precision",
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


def restored(record: Record) -> dict[str, Any]:
    """A record as the statement `restore` reads it."""
    return msgspec.structs.asdict(record) | {"state": CODES[record.state]}


def restoring(statement: str, schema: str) -> str:
    """The statement `restore` with the columns of a record put in; the database gives the number."""
    stored = COLUMNS[1:]
    worker = f'(SELECT known.ref FROM "{schema}".workers AS known WHERE known.id = record.worker)'  # noqa: S608
    return statement.format(
        columns=", ".join(stored),
        values=", ".join(worker if name == "worker" else name for name in stored),
        types=", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in stored),
    )


def finding(statement: str, schema: str) -> str:
    """The statement `find` with the columns of a record put in, a worker shown by its id; it lacks its condition."""
    worker = f'(SELECT known.id FROM "{schema}".workers AS known WHERE known.ref = job.worker) AS worker'  # noqa: S608
    columns = ", ".join(worker if name == "worker" else name for name in COLUMNS)
    return statement.replace("{columns}", columns)
