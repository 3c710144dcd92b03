"""One run of the demo: enqueue the search, watch it, replace workers that die, and tell a screen about it."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from msgspec import Struct

from stoker import clock
from stoker.demo.corpus import Corpus
from stoker.demo.crew import Crew, Member
from stoker.demo.findings import Findings
from stoker.demo.interrupt import Interrupt
from stoker.demo.jobs import LEASE, MAX_CRASHES
from stoker.demo.speed import Speed
from stoker.errors import StokerError
from stoker.handle import JobHandle
from stoker.job import Job, State

LOOK: float = 0.1
"""seconds between two looks at the job's record"""
LONGEST_CANCEL = 10.0
"""seconds that a cancelled job gets to end: more than a lease and the start of a worker"""


class Sight(Struct, frozen=True):
    """What is to be seen of the job now."""

    done: int
    total: int
    bytes: int
    speed: float
    """bytes per second"""
    seconds: float
    """since the job was enqueued"""
    matches: int
    matching: int
    folder: str
    waiting: str | None
    """what is waited for; None while the job makes progress"""


class Screen(Protocol):
    """Who is told."""

    def enqueued(self, job: str, pid: int) -> None:
        """The job is in the store, and a worker was started."""
        ...

    def look(self, sight: Sight) -> None:
        """The job as it is now; several times a second."""
        ...

    def shot(self, pid: int, done: int, total: int) -> None:
        """The worker is about to be killed, because this was asked for."""
        ...

    def replaced(self, dead: Member, pid: int, lost: bool) -> None:
        """A worker was found dead and another one started; `lost`: it took the job with it."""
        ...

    def resumed(self, attempt: int, position: int) -> None:
        """Another attempt began, after so many files that are done."""
        ...

    def cancelling(self) -> None:
        """The person wants to stop; the job is cancelled."""
        ...


class Run:
    """Watches one job to its end."""

    def __init__(
        self,
        handle: JobHandle[Any],
        jobs: Any,
        crew: Crew,
        corpus: Corpus,
        screen: Screen,
        interrupt: Interrupt,
        *,
        crash: bool,
    ) -> None:
        self._handle = handle
        self._jobs = jobs
        self._crew = crew
        self._total = len(corpus.files)
        self._screen = screen
        self._interrupt = interrupt
        self._crash_due = crash
        self._began_at = clock.monotonic()
        self._give_up_at: float | None = None
        self._speed = Speed()
        self._attempt = 1
        self._job_lost = False

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return clock.monotonic() - self._began_at

    @property
    def crash_was_due(self) -> bool:
        """Whether the worker was to be killed, and the job was done before."""
        return self._crash_due

    def to_the_end(self) -> Job:
        """Watch until the job has finished, or until the person's patience must have ended; returns its record."""
        self._screen.enqueued(self._handle.id, self._crew.pid)
        while True:
            job = self._handle.refresh()
            findings = _findings(job)
            self._tell_resumed(job, findings)
            self._screen.look(self._sight(job, findings))
            if job.finished or self._given_up():
                return job
            self._heed_interrupt()
            self._crash_if_due(findings)
            self._replace_the_dead(job)
            clock.sleep(LOOK)

    def _tell_resumed(self, job: Job, findings: Findings) -> None:
        latest = findings.starts[-1] if findings.starts else None
        if latest is not None and latest.attempt > self._attempt:
            self._attempt = latest.attempt
            self._job_lost = False
            self._speed.begin_anew()
            self._screen.resumed(latest.attempt, latest.position)

    def _heed_interrupt(self) -> None:
        if self._interrupt.wanted and self._give_up_at is None:
            self._give_up_at = clock.monotonic() + LONGEST_CANCEL
            self._screen.cancelling()
            self._jobs.cancel(self._handle.id, reason="interrupted by the person who watched it")

    def _given_up(self) -> bool:
        return self._give_up_at is not None and clock.monotonic() > self._give_up_at

    def _crash_if_due(self, findings: Findings) -> None:
        if not self._crash_due or self._interrupt.wanted:
            return
        if self._total <= 3 * findings.position < 3 * self._total:
            self._crash_due = False
            self._screen.shot(self._crew.pid, findings.position, self._total)
            self._crew.kill()

    def _replace_the_dead(self, job: Job) -> None:
        dead = self._crew.dead()
        if dead is None:
            return
        if len(self._crew.members) > MAX_CRASHES:
            raise StokerError(f"{MAX_CRASHES} workers were killed; the demo starts no more")
        self._job_lost = job.state is State.PROCESSING
        self._screen.replaced(dead, self._crew.hire(), self._job_lost)

    def _sight(self, job: Job, findings: Findings) -> Sight:
        return Sight(
            done=findings.position,
            total=self._total,
            bytes=findings.bytes,
            speed=self._speed.at(clock.monotonic(), findings.bytes),
            seconds=self.seconds,
            matches=findings.matches,
            matching=findings.matching,
            folder=job.message or "",
            waiting=self._waiting(job),
        )

    def _waiting(self, job: Job) -> str | None:
        if job.finished:
            return None
        if self._interrupt.wanted:
            return "waiting for the job to stop"
        if self._job_lost and job.state is State.PROCESSING:
            return f"waiting for the dead worker's lease of {LEASE:g} s to run out"
        if job.state is State.QUEUED:
            return "waiting for the worker to start"
        return None


def _findings(job: Job) -> Findings:
    return Findings() if job.checkpoint is None else msgspec.convert(job.checkpoint, Findings)
