"""What becomes of claims in this process's memory."""

from __future__ import annotations

from stoker.job import Failure, Outcome, Progress, State, Verdict, crash_failure
from stoker.stores.memory.logs import Logs
from stoker.stores.memory.shelf import Shelf
from stoker.stores.record import Record, appended, entry


class Settling:
    """Outcomes and crashes; their consequences are drawn by others."""

    def __init__(self, shelf: Shelf, logs: Logs) -> None:
        self._shelf = shelf
        self._logs = logs

    def settle(self, outcome: Outcome, now: int) -> bool:
        """Record an outcome; False: its claim was lost, and nothing was."""
        record = self._shelf.by_ref.get(outcome.ref)
        if record is None or record.state is not State.PROCESSING or record.fence != outcome.fence:
            return False
        self.report(record, outcome)
        verdict = outcome.verdict
        if outcome.failure is not None and verdict in (Verdict.RETRY, Verdict.FAILED):
            self._blame(record, outcome.failure, now)
        if verdict is Verdict.COMPLETED:
            record.result = outcome.result
            record.error = None
            self._shelf.move(record, State.COMPLETED, now)
        elif verdict is Verdict.FAILED:
            self._shelf.move(record, State.FAILED, now)
        elif verdict is Verdict.CANCELLED:
            record.error = outcome.reason or record.cancelling or None
            self._shelf.move(record, State.CANCELLED, now)
        else:
            if verdict in (Verdict.SNOOZED, Verdict.RELEASED):
                record.attempt -= 1
            if verdict is Verdict.CRASHED:
                self.crash(record, now)
            elif verdict is Verdict.RELEASED:
                self._return(record, State.QUEUED, now)
            else:
                record.run_at = now + outcome.delay
                self._return(record, State.SCHEDULED if outcome.delay > 0 else State.QUEUED, now)
        return True

    def crash(self, record: Record, now: int, *, capped: bool = True) -> None:
        """The process that ran the job is gone."""
        record.crashes += 1
        if record.cancelling is None and capped and record.crashes >= record.max_crashes:
            self._blame(record, crash_failure(record.attempt, record.crashes), now)
            self._shelf.move(record, State.FAILED, now)
        else:
            self._return(record, State.QUEUED, now)

    def _return(self, record: Record, state: State, now: int) -> None:
        """Give a processing job back, unless it was asked to stop."""
        if record.cancelling is not None:
            record.error = record.cancelling or None
            state = State.CANCELLED
        self._shelf.move(record, state, now)

    def _blame(self, record: Record, failure: Failure, now: int) -> None:
        record.errors = appended(record.errors, entry(failure, record.worker, now))
        record.error = failure.summary

    def report(self, record: Record, said: Outcome | Progress) -> None:
        """Keep what an attempt said of itself."""
        if said.progress is not None:
            record.progress = said.progress
        if said.message is not None:
            record.message = said.message
        if said.checkpoint is not None:
            record.checkpoint = said.checkpoint
        self._logs.append(record, said.log)
