"""The worker's decisions, without I/O, clock or asyncio: events in, decisions out.

The loop (`worker/loop.py`) tells what happened and does what it is told; there is no `if` about policy in it. Time is
an argument: seconds on a clock that never steps back. So the whole behaviour is simulated in `tests/simulation`.

Rules that it keeps, whatever happens:

- at most one exchange is under way; outcomes that arrive meanwhile ride the next one;
- never more than `capacity` jobs run, nor more of a queue than its own limit;
- a quiet worker claims nothing, and gives back what waits for a slot; what runs goes on;
- an outcome is kept until a store answered for it; a claim that lost its lease is never started, nor its end reported;
- no more is claimed than will start within about `PREFETCH` seconds at the present rate, and what did not start within
  `STALE` seconds is handed back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from stoker.clock import SECOND
from stoker.job import Claim, Failure, Outcome, Verdict
from stoker.store import Exchanged, Want

PREFETCH = 0.05
STALE = 0.5
MAX_BATCH = 500
"""jobs of one claim, and outcomes of one settle, at most"""
MAX_UNSETTLED = 5000
"""outcomes that may wait for the store before no more jobs are started"""
LINGER = 0.005
LINGER_BATCH = 100
"""While claims wait for a slot anyway, outcomes wait up to that many seconds to be that many: else a busy worker would
make an exchange for every few jobs that end. An idle one never lingers."""
POLL = 1.0
"""seconds between two looks at a store that gave no hint"""
UNSURE = 30.0
"""seconds after a failed exchange for which each exchange says what is known: it may yet have been made, and late"""
ABANDONED_AFTER = 5.0
"""seconds between the order to stop and giving up on a job that does not"""


class Exchange(Struct, frozen=True):
    """An exchange to be made now."""

    outcomes: Sequence[Outcome]
    wants: Sequence[Want]
    limit: int
    turn: int
    known: Sequence[int] | None = None
    """given while there may be claims whose reply was lost: all claims that are known of"""


class Decision(Struct, frozen=True):
    """What to do now."""

    exchange: Exchange | None = None
    stop: Sequence[Claim] = ()
    """running jobs to be told to stop, because the worker is stopping"""
    wake_at: float | None = None
    """when to ask again if nothing happens before; None: only when something happens"""
    done: bool = False
    """everything has ended; nothing is left to do"""


class Dispatcher:
    """Decides for one worker process."""

    def __init__(
        self, capacity: int, queues: Mapping[str, int | None] | None = None, *, drain: bool = False, turn: int = 0
    ) -> None:
        """`queues`: the queues to serve, each with its own limit or None; None: all queues."""
        self.capacity = capacity
        self._queues = queues
        self._drain = drain
        self._turn = turn
        self._buffer: deque[Claim] = deque()
        self._buffered_at = 0.0
        self._running: dict[int, Claim] = {}
        self._lost: dict[tuple[int, int], Claim] = {}  # they run still, but are no longer ours
        self._outcomes: list[Outcome] = []
        self._sent: Sequence[Outcome] | None = None  # of the exchange under way
        self._unsent_since: float | None = None
        self._asked = 0
        self._hungry = True
        self._registered = True
        self._poll_at = 0.0
        self._due_at: float | None = None
        self._retry_at = 0.0
        self._failures = 0
        self._unsure_until = 0.0
        self._batch = MAX_BATCH
        self._condemned: set[tuple[int, int]] = set()
        self._rate = 0.0
        self._rate_at = 0.0
        self._finished = 0
        self._quiet = False
        self._stopping = False
        self._deadline = 0.0
        self._told = False

    # --- what can be seen -------------------------------------------------------------------------------------------

    @property
    def running(self) -> Sequence[Claim]:
        """Jobs that run now and are still this worker's."""
        return list(self._running.values())

    @property
    def held(self) -> int:
        """Claims that wait for a slot."""
        return len(self._buffer)

    @property
    def unsettled(self) -> int:
        """Outcomes that no store has answered for."""
        return len(self._outcomes) + len(self._sent or ())

    @property
    def quiet(self) -> bool:
        """Whether no more jobs are claimed until it is woken."""
        return self._quiet

    @property
    def stopping(self) -> bool:
        """Whether no more jobs are claimed, until the end."""
        return self._stopping

    # --- what happened ----------------------------------------------------------------------------------------------

    def hinted(self) -> None:
        """There may be work."""
        self._hungry = True

    def take(self) -> Claim | None:
        """The next job to start now; None where there is none, or no slot for it."""
        if not self._buffer or len(self._running) + len(self._lost) >= self.capacity:
            return None
        if len(self._outcomes) >= MAX_UNSETTLED and self.unsettled >= MAX_UNSETTLED:
            return None
        claim = self._buffer.popleft()
        self._running[claim.ref] = claim
        return claim

    def finished(self, claim: Claim, outcome: Outcome) -> bool:
        """A started job ended. False: its claim was lost meanwhile, so its outcome is of no interest."""
        self._finished += 1
        if self._lost and (claim.ref, claim.fence) in self._lost:
            del self._lost[claim.ref, claim.fence]
            return False
        known = self._running.get(claim.ref)
        if known is None or known.fence != claim.fence:
            return False
        del self._running[claim.ref]
        self._outcomes.append(outcome)
        return True

    def exchanged(self, reply: Exchanged, now: float) -> None:
        """The exchange under way was answered."""
        assert self._sent is not None
        self._sent = None
        self._failures = 0
        self._batch = min(MAX_BATCH, self._batch * 2)
        self._poll_at = now + POLL
        self._due_at = None if reply.due_in is None else now + reply.due_in / SECOND
        if self._asked:
            self._hungry = self._hungry or len(reply.claims) >= self._asked  # hungry already: hinted meanwhile
        if not reply.alive:
            self._hungry = self._registered = False  # until it is registered again
        self._turn += 1
        if reply.claims:
            if not self._buffer:
                self._buffered_at = now
            self._buffer.extend(reply.claims)
        if self._stopping or self._quiet:
            self.hand_back()

    def exchange_failed(self, now: float, *, transient: bool, pause: float = 0.0) -> None:
        """The exchange under way was not answered, or refused as a whole.

        Its outcomes are kept. After a passing fault (`transient`) everything is tried again later; otherwise one of
        them must be to blame, and it is looked for by halves.
        """
        assert self._sent is not None
        sent, self._sent = self._sent, None
        self._hungry = True
        self._failures += 1
        self._retry_at = now + pause
        if self._asked:
            self._unsure_until = now + UNSURE
        if transient or not sent:
            self._outcomes[:0] = sent
            return
        if len(sent) > 1:
            self._batch = max(1, len(sent) // 2)
            self._outcomes[:0] = sent
            return
        [poison] = sent
        claim = (poison.ref, poison.fence)
        if claim not in self._condemned:  # its content cannot be stored: say so instead
            self._condemned.add(claim)
            self._outcomes.insert(0, _unstorable(poison))
        # else not even that can be stored: the claim is left to its lease

    @property
    def failures(self) -> int:
        """Exchanges that failed since the last that did not."""
        return self._failures

    def lease_lost(self) -> Sequence[Claim]:
        """Another worker may have our jobs now: the running ones, to be told to stop. Nothing of them is reported."""
        self._registered = False
        lost = list(self._running.values())
        self._lost.update(((claim.ref, claim.fence), claim) for claim in lost)
        self._running.clear()
        self._buffer.clear()
        return lost

    def registered(self) -> None:
        """The worker is alive (again), under a new name, which nobody has told to be quiet."""
        self._hungry = self._registered = True
        self._quiet = False

    def quieten(self) -> None:
        """Claim no more until woken; what runs goes on."""
        self._quiet = True
        self.hand_back()

    def wake(self) -> None:
        """Claim again."""
        self._quiet = False
        self._hungry = True

    def stop(self, now: float, grace: float) -> None:
        """Claim no more; give running jobs that many seconds, then tell them to stop. Again: the sooner end counts."""
        deadline = now + grace
        self._deadline = min(self._deadline, deadline) if self._stopping else deadline
        self._stopping = True
        self.hand_back()

    # --- what to do -------------------------------------------------------------------------------------------------

    def decide(self, now: float) -> Decision:
        """What to do now. To be asked after everything that happened, and at `wake_at`."""
        self._measure(now)
        self._hand_back_stale(now)
        if now >= self._poll_at:
            self._hungry, self._poll_at = True, now + POLL
        if self._due_at is not None and now >= self._due_at:
            self._hungry, self._due_at = True, None
        told = self._tell_to_stop(now)
        if self._stopping and self._told and now >= self._deadline + ABANDONED_AFTER:
            self._abandon()
        exchange = self._exchange(now)
        return Decision(exchange, told, self._wake_at(now), exchange is None and self._done())

    def _exchange(self, now: float) -> Exchange | None:
        if self._sent is not None or now < self._retry_at:
            return None
        if self._lingers(now):
            return None
        room = self._room()
        asks = room > 0 and (self._hungry or bool(self._outcomes))
        if not asks and not self._outcomes:
            return None
        wants = self._wants(room) if asks else ()
        outcomes = self._outcomes[: self._batch]
        self._outcomes = self._outcomes[self._batch :]
        self._sent = outcomes
        self._unsent_since = None
        self._asked = min(room, sum(want.limit for want in wants)) if wants else 0
        if wants:
            self._hungry = False
        known = self._known() if now < self._unsure_until else None
        return Exchange(outcomes, wants, room if wants else 0, self._turn, known)

    def _known(self) -> Sequence[int]:
        """Every claim that this worker knows to be its own."""
        unsettled = (*(self._sent or ()), *self._outcomes)
        return [*self._running, *(claim.ref for claim in self._buffer), *(outcome.ref for outcome in unsettled)]

    def _lingers(self, now: float) -> bool:
        """Whether the next exchange is better made a little later."""
        if not self._outcomes or not self._buffer or self._stopping or len(self._outcomes) >= LINGER_BATCH:
            return False
        if self._unsent_since is None:
            self._unsent_since = now
        return now < self._unsent_since + LINGER

    def _room(self) -> int:
        if self._stopping or self._quiet or self.unsettled >= MAX_UNSETTLED:
            return 0
        occupied = len(self._running) + len(self._lost) + len(self._buffer)
        return min(MAX_BATCH, self.capacity + self._prefetch() - occupied)

    def _prefetch(self) -> int:
        return int(self._rate * PREFETCH)

    def _wants(self, room: int) -> Sequence[Want]:
        if self._queues is None:
            return (Want(None, room),)
        names = list(self._queues)
        first = self._turn % len(names)
        wants = []
        for name in names[first:] + names[:first]:
            limit = self._queues[name]
            free = room if limit is None else min(room, limit - self._count(name))
            if free > 0:
                wants.append(Want(name, free))
        return wants

    def _count(self, queue: str) -> int:
        held = (*self._running.values(), *self._lost.values(), *self._buffer)
        return sum(claim.queue == queue for claim in held)

    def hand_back(self) -> None:
        """Give back the claims that wait for a slot. Those that are not ours any more the fence refuses."""
        self._outcomes += [Outcome(claim.ref, claim.fence, Verdict.RELEASED) for claim in self._buffer]
        self._buffer.clear()

    def _hand_back_stale(self, now: float) -> None:
        """Give others the jobs that found no slot, so that they do not wait here while a worker elsewhere is idle."""
        if self._buffer and now >= self._buffered_at + STALE:
            if len(self._running) + len(self._lost) < self.capacity and self.unsettled < MAX_UNSETTLED:
                self._buffered_at = now  # they are about to start
            else:
                self._rate = 0.0
                self.hand_back()

    def _measure(self, now: float) -> None:
        """Learn how many jobs a second end, forgetting the past by halves."""
        passed = now - self._rate_at
        if passed >= 0.02:
            self._rate = (self._rate + self._finished / passed) / 2
            self._rate_at = now
            self._finished = 0

    def _tell_to_stop(self, now: float) -> Sequence[Claim]:
        if not self._stopping or self._told or now < self._deadline:
            return ()
        self._told = True
        return self.running

    def _abandon(self) -> None:
        """Give back jobs that do not stop. What they still do is not recorded: the fence sees to that."""
        for claim in self._running.values():
            self._outcomes.append(Outcome(claim.ref, claim.fence, Verdict.RELEASED))
        self._running.clear()
        self._lost.clear()

    def _done(self) -> bool:
        idle = not (self._running or self._lost or self._buffer or self._outcomes or self._sent is not None)
        return idle and (self._stopping or (self._drain and self._registered and not self._hungry))

    def _wake_at(self, now: float) -> float | None:
        if self._sent is not None:
            times = []
        elif now < self._retry_at:
            times = [self._retry_at]
        else:
            times = [self._poll_at]
            if self._due_at is not None and not self._stopping:
                times.append(self._due_at)
        if self._buffer:
            times.append(self._buffered_at + STALE)
        if self._unsent_since is not None and self._sent is None:
            times.append(max(self._unsent_since + LINGER, self._retry_at))
        if self._stopping:
            times.append(self._deadline + ABANDONED_AFTER if self._told else self._deadline)
        return min(times, default=None)


def _unstorable(outcome: Outcome) -> Outcome:
    failure = outcome.failure or Failure(attempt=0, type="", message="")
    said = msgspec.structs.replace(
        failure,
        type="unstorable",
        message="the store refused to record how this attempt ended (its result, error or checkpoint)",
        traceback=None,
    )
    return Outcome(outcome.ref, outcome.fence, Verdict.FAILED, failure=said)
