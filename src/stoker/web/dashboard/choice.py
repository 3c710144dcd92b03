"""Which jobs a page shows, as its address says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from stoker.job import State
from stoker.store import Filter
from stoker.web.asking import FIELDS, filter_of
from stoker.web.dashboard.notice import PARAMETER
from stoker.web.dashboard.words import count

_WORDS: Final = {"text": "arguments contain", "older_than": "seconds since its last change, at least"}


class Choice:
    """Conditions as texts, for forms and links, and as a filter. Raises a 422 for what is none."""

    def __init__(self, query: QueryParams) -> None:
        self.filter: Filter = filter_of(query, others=("before", "after", PARAMETER))
        self.texts = {name: query.get(name, "") for name in FIELDS} | {"state": ",".join(self.filter.states or ())}
        """by field, '' where it says nothing"""

    @property
    def _said(self) -> list[tuple[str, str]]:
        return [(name, text) for name, text in self.texts.items() if text]

    @property
    def conditions(self) -> list[tuple[str, str, str]]:
        """What was chosen besides states: the field, its name for people, the value."""
        return [(name, _WORDS.get(name, name), text) for name, text in self._said if name != "state"]

    @property
    def state(self) -> State | None:
        """The one state that was chosen."""
        states = self.filter.states or ()
        return states[0] if len(states) == 1 else None

    def matching(self, counts: Mapping[str, int] | None, estimated: bool) -> str:
        """`all 1,234 that match`; without the number where it is not known.

        `counts`: by state, of the jobs that match whatever their state.
        """
        if counts is None:
            return "all that match"
        states = self.filter.states or tuple(State)
        return f"all {'≈' if estimated else ''}{count(sum(counts.get(state, 0) for state in states))} that match"

    @property
    def query(self) -> str:
        """The conditions as they stand in an address, without the question mark."""
        return urlencode(self._said)

    def but(self, **changes: str | None) -> str:
        """An address's query with other conditions, from the first page on."""
        texts: Mapping[str, str | None] = {**self.texts, **changes}
        said = urlencode({name: text for name, text in texts.items() if text})
        return f"?{said}" if said else ""

    def page(self, name: str, id: str) -> str:
        """The query of the page `before` or `after` that id."""
        return "?" + urlencode([*self._said, (name, id)])
