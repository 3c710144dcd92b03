"""The first page."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.web.dashboard.page import Act, Facts, Page, Tab
from stoker.web.dashboard.visit import Visit
from stoker.web.desk import Desk


class Overview:
    """How all stands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def pages(self) -> Sequence[Page]:
        return [Page(path="/", template="overview.html", facts=self.facts, tab=Tab("Overview", "overview", "o"))]

    @property
    def acts(self) -> Sequence[Act]:
        return []

    async def facts(self, visit: Visit) -> Facts:
        return {}
