"""All pages, in the order of the navigation."""

from __future__ import annotations

from stoker.web.assets import Assets
from stoker.web.dashboard.frame import Frame
from stoker.web.dashboard.overview import Overview
from stoker.web.desk import Desk


def dashboard(desk: Desk, assets: Assets) -> Frame:
    """The dashboard of one application."""
    return Frame(desk, assets, (Overview(desk),))
