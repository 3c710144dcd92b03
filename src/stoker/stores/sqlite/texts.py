"""The statements of the SQLite store, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stoker.plan import Statement
from stoker.stores.record import COLUMNS
from stoker.stores.sqlite.rows import shown
from stoker.stores.statements import load_statements

PACKAGE: Final = "stoker.stores.sqlite"
FILES: Final = (
    *("statements.sql", "views.sql", "family.sql", "limits.sql", "turns.sql", "guards.sql", "schedules.sql"),
    *("logs.sql", "tallies.sql", "audit.sql"),
)
RECORD: Final = ", ".join(map(shown, COLUMNS))
"""The columns of a record, as a statement selects them."""


def texts() -> Mapping[str, str]:
    """Every statement, by name."""
    found = {name: text for file in FILES for name, text in load_statements(PACKAGE, file).items()}
    return {name: text.replace("{columns}", RECORD) for name, text in found.items()}


class Texts:
    """Makes statements of names and parameters."""

    def __init__(self) -> None:
        self._texts = texts()

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def ask(self, name: str, /, **params: Any) -> Statement:
        """The statement of that name."""
        return Statement(self._texts[name], params)

    def for_each(self, name: str, rows: list[tuple[Any, ...]]) -> Statement:
        """The statement of that name, once for each row."""
        return Statement(self._texts[name], rows, many=True)
