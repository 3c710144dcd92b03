"""What happened, as the processes themselves wrote it down, and the checker that reads it.

Every process appends lines to one file: one `write` to a descriptor in append mode, so that lines never mix and a line
once written outlives its writer. Times are of the system-wide monotonic clock, so those of different processes compare.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from stoker.job import FINAL, Job, State

NEVER = float("inf")


def record(path: str | Path, event: str, **facts: Any) -> None:
    """Append one event."""
    line = json.dumps({"event": event, "at": time.monotonic(), "pid": os.getpid(), **facts}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


class Event(Struct, kw_only=True):
    """One line.

    `started` `ended`          by the task's own code: job, attempt
    `claimed`                  by a worker that had a claim's reply in hand: job, attempt, fence, ref
    `settled` `refused`        by a worker that had a settle's reply in hand: ref, fence, verdict
    `unheard`                  by a worker whose exchange may have been done, and brought no reply
    `dead` `stalled`           by a test, or by a process about to kill itself: of the process `victim`
    """

    event: str
    at: float
    pid: int
    job: str | None = None
    attempt: int = 0
    fence: int = 0
    ref: int = 0
    verdict: str | None = None
    how: str | None = None
    worker: int | None = None
    victim: int | None = None
    note: Any = None


class Run(Struct):
    """One run of a job's code."""

    job: str
    attempt: int
    pid: int
    started: float
    ended: float = NEVER
    how: str | None = None
    """None: it never came to its end"""


class History:
    """The events of one test, in order."""

    def __init__(self, path: Path) -> None:
        text = path.read_bytes() if path.exists() else b""
        lines = text[: text.rfind(b"\n") + 1].splitlines()  # the last may be half seen while it is written
        self.events = [Event(**json.loads(line)) for line in lines]

    def of(self, *kinds: str, job: str | None = None, pid: int | None = None) -> list[Event]:
        return [
            event
            for event in self.events
            if event.event in kinds and job in (None, event.job) and pid in (None, event.pid)
        ]

    def runs(self, job: str | None = None) -> list[Run]:
        """Every run, by start. One without an end lasted until its process died."""
        deaths = {event.victim: event.at for event in reversed(self.of("dead"))}
        runs: list[Run] = []
        for event in self.of("started", "ended", job=job):
            if event.event == "started":
                runs.append(Run(event.job or "", event.attempt, event.pid, event.at))
            else:
                mine = [
                    run
                    for run in runs
                    if (run.job, run.attempt, run.pid) == (event.job, event.attempt, event.pid) and run.ended == NEVER
                ]
                assert mine, f"{event} of a run that never started"
                mine[-1].ended, mine[-1].how = event.at, event.how
        for run in runs:
            if run.ended == NEVER:
                run.ended = deaths.get(run.pid, NEVER)
        return runs

    def problems(self, jobs: Mapping[str, Job], enqueued: Iterable[str], *, final: bool = True) -> list[str]:
        """Everything in which this history and the final records break the guarantees. Empty: none of it."""
        found: list[str] = []
        for id in enqueued:
            if id not in jobs:
                found.append(f"{id} is lost: it was enqueued, and there is no record of it")
            elif final and jobs[id].state not in FINAL:
                found.append(f"{id} never ended: {jobs[id].state}, attempt {jobs[id].attempt}")
        found += self._overlaps()
        found += self._claims_of_one_fence()
        found += self._settled_twice()
        claims, runs = defaultdict(list), defaultdict(list)
        for event in self.of("claimed"):
            claims[event.job].append(event)
        for run in self.runs():
            runs[run.job].append(run)
        settled = {(event.ref, event.fence): event for event in self.of("settled")}
        unheard = len(self.of("dead", "unheard"))
        for job in jobs.values():
            answers = [settled.get((claim.ref, claim.fence)) for claim in claims[job.id]]
            found += _miscounted(job, runs[job.id], [answer.verdict for answer in answers if answer], unheard)
        return found

    def _overlaps(self) -> list[str]:
        stalled = {event.victim for event in self.of("stalled")}  # these lost their lease: two may run for a moment
        by_job: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs():
            by_job[run.job].append(run)
        return [
            f"{job} ran twice at once: {one} and {other}"
            for job, runs in by_job.items()
            for index, one in enumerate(runs)
            for other in runs[index + 1 :]
            if other.started < one.ended and one.pid not in stalled
        ]

    def _claims_of_one_fence(self) -> list[str]:
        seen: dict[tuple[int, int], Event] = {}
        found = []
        for event in self.of("claimed"):
            claim = (event.ref, event.fence)
            if claim in seen:
                found.append(f"one claim was given out twice: {seen[claim]} and {event}")
            seen[claim] = event
        return found

    def _settled_twice(self) -> list[str]:
        found = []
        seen: set[tuple[int, int]] = set()
        ended: dict[int, Event] = {}
        for event in self.of("settled"):
            claim = (event.ref, event.fence)
            if claim in seen:
                found.append(f"one claim was settled twice: {event}")
            seen.add(claim)
            if event.verdict in ("completed", "failed", "cancelled"):
                if event.ref in ended:
                    found.append(f"a job ended twice: {ended[event.ref]} and {event}")
                ended[event.ref] = event
        return found


def _miscounted(job: Job, runs: Sequence[Run], verdicts: Sequence[str | None], lost: int) -> list[str]:
    """Attempts are claims that were not given back cleanly; crashes are claims that nobody settled."""
    found = []
    given_back = sum(verdict in ("released", "snoozed") for verdict in verdicts)
    failed = sum(verdict in ("retry", "failed") for verdict in verdicts)
    # A settle whose reply nobody had in hand is missing from the history.
    unheard = job.fence - given_back - job.attempt
    if not 0 <= unheard <= lost:
        found.append(f"{job.id}: {job.fence} claims, {given_back} given back, yet attempt is {job.attempt}")
    if len(runs) > job.fence:
        found.append(f"{job.id} was claimed {job.fence} times, but ran {len(runs)} times")
    if job.state is State.COMPLETED:
        if not any(run.how == "returned" for run in runs):
            found.append(f"{job.id} is completed, but no run of it returned")
        if job.attempt != 1 + job.crashes + len(job.errors):
            found.append(f"{job.id}: attempt {job.attempt}, {job.crashes} crashes, {len(job.errors)} errors")
    cut_short = sum(run.how is None for run in runs)
    if job.state in FINAL and job.crashes < cut_short - given_back:
        found.append(f"{job.id}: {cut_short} runs were cut short, but only {job.crashes} crashes are counted")
    if job.crashes > job.fence - given_back - failed:
        found.append(f"{job.id}: {job.crashes} crashes in {job.fence} claims")
    return found
