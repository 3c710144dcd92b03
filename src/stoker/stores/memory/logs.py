"""What attempts logged, in this process's memory."""

from __future__ import annotations

from stoker.job import LOGS_KEPT, LONGEST_LOG, Log
from stoker.stores.record import Record


class Logs:
    """The logs of jobs, by their numbers."""

    def __init__(self) -> None:
        self._logs: dict[int, dict[int, Log]] = {}

    def append(self, record: Record, text: str | None) -> None:
        """Add to the log of the record's present claim."""
        if not text:
            return
        logs = self._logs.setdefault(record.ref, {})
        before = logs[record.fence].text if record.fence in logs else ""
        logs[record.fence] = Log(attempt=record.attempt, fence=record.fence, text=(before + text)[-LONGEST_LOG:])
        for fence in [fence for fence in logs if fence <= record.fence - LOGS_KEPT]:
            del logs[fence]

    def of(self, record: Record) -> list[Log]:
        """Oldest first."""
        logs = self._logs.get(record.ref, {})
        return [logs[fence] for fence in sorted(logs)]

    def drop(self, record: Record) -> None:
        """Forget those of a job that is deleted."""
        self._logs.pop(record.ref, None)
