"""The way through the jobs that may match a filter: which index to read, and where to go on in it.

No answer about many jobs may keep the server from its other work for long. So a reader goes a stretch at a time, each
a script of its own, along the shortest index that has every job in question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stoker.job import FINAL, LIVE, State
from stoker.store import Filter
from stoker.stores.record import CODES

STRETCH: Final = 1000
"""Jobs that one script looks at."""


def held_only(which: Filter) -> bool:
    """Whether only jobs that workers hold can match: they are few, and in no index by id."""
    return which.ids is None and which.states is not None and set(which.states) == {State.PROCESSING}


class Trail:
    """Stretches, one after the other. `ids` names the jobs; without it the filter says which indexes to read."""

    def __init__(
        self,
        which: Filter,
        *,
        ids: Sequence[str] | None = None,
        before: str | None = None,
        after: str | None = None,
        rising: bool = False,
    ) -> None:
        self._rising = rising
        self._bounds = {name: id for name, id in (("before", before), ("after", after)) if id is not None}
        self._named: list[str] | None = None
        self._indexes: list[str] = []
        if ids is None:
            self._indexes = _indexes(which)
        else:
            chosen = {id for id in ids if (before is None or id < before) and (after is None or id > after)}
            self._named = sorted(chosen, reverse=not rising)
        self._seen: dict[str, str] = {}

    def stretch(self) -> dict[str, Any] | None:
        """What the next script is to look at; None: all has been seen."""
        if self._named is not None:
            return {"ids": self._named[:STRETCH]} if self._named else None
        if not self._indexes:
            return None
        index = {"index": self._indexes[0], "look": STRETCH, "rising": self._rising}
        return index | self._bounds | self._seen

    def went(self, rest: bytes | None) -> None:
        """A script has seen a stretch, up to `rest` if it is to be gone on from there."""
        if self._named is not None:
            end = STRETCH if rest is None else self._named.index(rest.decode()) + 1
            self._named = self._named[end:]
        elif rest is None:
            self.turn_off()
        else:
            self._seen = {"after" if self._rising else "before": rest.decode()}

    def turn_off(self) -> None:
        """There is enough of this index: go on with the next."""
        if self._named is not None:
            self._named = []
        else:
            del self._indexes[0]
            self._seen = {}


def _indexes(which: Filter) -> list[str]:
    if which.workflow is not None:
        return [f"workflow:{which.workflow}"]
    if which.owner is not None:
        return [f"owner:{which.owner}"]
    if which.states is None or State.COMPLETED in which.states:
        return ["ids"]
    live = ["live"] if LIVE & set(which.states) else []
    ended = [f"state:{CODES[state]}" for state in sorted(FINAL & set(which.states))]
    return live + ended
