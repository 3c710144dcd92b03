"""The audit log: who did what through this application, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from stoker.audit_store import AUDIT_KEPT, Entry
from stoker.clock import SECOND
from stoker.job import is_storable
from stoker.web.dashboard.page import Facts, Page, Post, Tab
from stoker.web.dashboard.visit import Visit
from stoker.web.desk import Desk
from stoker.web.problem import Problem

_IN_PAGE: Final = 100


class Row(Struct, frozen=True):
    """An entry, and where its object is to be found."""

    entry: Entry
    detail: dict[str, Any] | None
    page: str | None
    """the page of what it was done to, with its name to come in the query; None: it has none, or is gone"""


class AuditPages:
    """The log, newest first."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        tab = Tab("Audit", "audit", "a")
        return [Page(path="/ui/audit", template="audit.html", facts=self._list, tab=tab, admins_only=True)]

    @property
    def posts(self) -> Sequence[Post]:
        """Nothing can be done to it."""
        return []

    async def _list(self, visit: Visit) -> Facts:
        before = visit.query.get("before") or None
        if before is not None and not is_storable(before):
            raise Problem(422, "invalid-page", "before must be the id of an entry")
        store = self._desk.app.engine.connection.store
        found = await self._desk.answers.ask(store.audit.read(_IN_PAGE + 1, before))
        shown = found[:_IN_PAGE]
        return {
            "kept": AUDIT_KEPT / SECOND,
            "rows": [_row(entry) for entry in shown],
            "before": before,
            "next": shown[-1].id if len(found) > len(shown) else None,
        }


def _row(entry: Entry) -> Row:
    detail = None if entry.detail is None else msgspec.json.decode(entry.detail)
    return Row(entry, detail if isinstance(detail, dict) else None, _PAGES.get(entry.action.rpartition(" ")[2]))


_PAGES: Final = {
    "job": "ui/jobs/",
    "workflow": "ui/workflows/",
    "queue": "ui/jobs?queue=",
    "schedule": "ui/schedules/one?name=",
}
