"""Something to be done to many jobs: said by a form, asked back, and done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from starlette.datastructures import QueryParams

from stoker.job import is_storable
from stoker.store import Action, Filter
from stoker.web.asking import filter_words
from stoker.web.dashboard.choice import Choice
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.words import counted
from stoker.web.problem import Problem

_MAY: Final = {"cancel": Action.CANCEL, "retry": Action.RETRY, "delete": Action.DELETE}
_MOST: Final = 1_000
_SAID: Final = {
    Action.CANCEL: ("Cancel", "cancelled", "Those that have not begun never start; those that run are told to stop."),
    Action.RETRY: ("Retry", "queued again", "Failed and cancelled jobs are queued again, with one attempt more."),
    Action.DELETE: (
        "Delete",
        "deleted",
        "What is deleted is gone for good: record, result and logs. Running jobs stay.",
    ),
}


class Amending(Struct, frozen=True):
    """What is to be done, and to which jobs."""

    action: Action
    choice: Choice
    """what the list showed"""
    ids: Sequence[str]
    """those that were selected; none: all that match the choice"""
    back: str | None
    """the id of the job from whose page it comes"""

    @classmethod
    def of(cls, form: Form) -> Amending:
        """What a form says. Raises a 422."""
        action = _MAY.get(form.text("action"))
        if action is None:
            raise Problem(422, "invalid-form", f"action must be one of {', '.join(_MAY)}")
        choice = Choice(QueryParams(form.text("filter")))
        ids = tuple(dict.fromkeys(form.all("id")))
        if form.text("scope") == "all":
            return cls(action, choice, (), None)
        if not ids:
            raise Problem(
                422, "nothing-selected", "no job is selected: go back and select some, or choose all that match"
            )
        if len(ids) > _MOST or not all(is_storable(id) for id in ids):
            raise Problem(422, "invalid-form", f"up to {_MOST:,} jobs can be selected; choose all that match instead")
        back = form.text("back")
        return cls(action, choice, ids, back if back in ids else None)

    @property
    def filter(self) -> Filter:
        """Which jobs, for a store."""
        return Filter(ids=tuple(self.ids)) if self.ids else self.choice.filter

    @property
    def which(self) -> str:
        """The jobs, as the audit log names them."""
        return filter_words(self.filter)

    @property
    def verb(self) -> str:
        """`Cancel`."""
        return _SAID[self.action][0]

    @property
    def meaning(self) -> str:
        """What it does, in a sentence or two."""
        return _SAID[self.action][2]

    def done(self, count: int) -> str:
        """The sentence that says what was done."""
        jobs = counted(count, "job")
        if count == 0:
            return f"Nothing was {_SAID[self.action][1]}: no job was in a state for it."
        if self.action is Action.CANCEL:
            return f"{jobs} {'is' if count == 1 else 'are'} cancelled; what runs is told to stop."
        return f"{jobs} {'was' if count == 1 else 'were'} {_SAID[self.action][1]}."
