"""Tasks that are declared after the worker started: modules are imported late, most of all inside a server."""

from __future__ import annotations

from typing import Any

WAIT = 30


def test_a_task_declared_late_runs(place: Any) -> None:
    @place.app.task(name="early")
    def early() -> str:
        return "early"

    place.work()
    assert early.enqueue().result(WAIT) == "early"

    @place.app.task(name="late")
    def late() -> str:
        return "late"

    assert late.enqueue().result(WAIT) == "late"
