"""All pages, in the order of the navigation."""

from __future__ import annotations

from stoker.web.assets import Assets
from stoker.web.dashboard.audit_log import AuditPages
from stoker.web.dashboard.frame import Frame
from stoker.web.dashboard.job import JobPage
from stoker.web.dashboard.jobs import JobPages
from stoker.web.dashboard.overview import Overview
from stoker.web.dashboard.queues import QueuePages
from stoker.web.dashboard.schedules import SchedulePages
from stoker.web.dashboard.workers import WorkerPages
from stoker.web.dashboard.workflows import WorkflowPages
from stoker.web.desk import Desk


def dashboard(desk: Desk, assets: Assets) -> Frame:
    """The dashboard of one application."""
    parts = (
        Overview(desk),
        JobPages(desk),
        JobPage(desk),
        QueuePages(desk),
        SchedulePages(desk),
        WorkflowPages(desk),
        WorkerPages(desk),
        AuditPages(desk),
    )
    return Frame(desk, assets, parts)
