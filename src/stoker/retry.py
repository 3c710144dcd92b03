"""What becomes of an attempt: `judge` is the only place that decides between another attempt and the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgspec import Struct

from stoker.clock import SECOND, to_span
from stoker.errors import LONGEST, InvalidOption
from stoker.job import (
    AskedCancel,
    AskedRetry,
    AskedSnooze,
    Claim,
    Died,
    Ending,
    Failure,
    Interrupted,
    Outcome,
    Raised,
    Returned,
    Verdict,
    crash_failure,
)


class Exponential(Struct, frozen=True, tag="exponential"):
    """Seconds that double with every failed attempt: base, 2·base, 4·base, … up to cap."""

    base: float = 1.0
    cap: float = 3600.0
    jitter: bool = True
    """spread each pause between its half and its whole, so that jobs that failed together do not return together"""

    def seconds(self, failed: int, chance: random.Random) -> float:
        """The pause after that many failed attempts (1 or more)."""
        pause = min(self.cap, self.base * 2.0 ** min(failed - 1, 64))
        return pause * (0.5 + chance.random() / 2) if self.jitter else pause


class Fixed(Struct, frozen=True, tag="fixed"):
    """The same pause after every failed attempt."""

    pause: float

    def seconds(self, failed: int, chance: random.Random) -> float:
        """The pause, in seconds."""
        return self.pause


class Custom(Struct, frozen=True):
    """The caller's own rule: it gets the number of failed attempts and returns seconds or a timedelta."""

    rule: Callable[[int], float | timedelta]

    def seconds(self, failed: int, chance: random.Random) -> float:
        """What the rule says, not below zero nor beyond a century."""
        pause = self.rule(failed)
        seconds = pause.total_seconds() if isinstance(pause, timedelta) else float(pause)
        return min(LONGEST, max(0.0, seconds))


Backoff = Exponential | Fixed | Custom


def exponential(base: float = 1, cap: float = 3600, jitter: bool = True) -> Exponential:
    """Pauses of base, 2·base, 4·base, … seconds, at most cap; with jitter each is between its half and its whole."""
    if not (0 <= base <= LONGEST and 0 <= cap <= LONGEST):
        raise InvalidOption(f"exponential() takes seconds of zero or more, not base={base!r}, cap={cap!r}")
    return Exponential(float(base), float(cap), jitter)


def fixed(seconds: float) -> Fixed:
    """The same pause, in seconds, after every failed attempt."""
    if not 0 <= seconds <= LONGEST:
        raise InvalidOption(f"fixed() takes seconds of zero or more, not {seconds!r}")
    return Fixed(float(seconds))


def lineage(kind: type[BaseException]) -> tuple[str, ...]:
    """The qualified names of an exception type and of its bases: how types are named in a job's options."""
    return tuple(type_name(base) for base in kind.__mro__ if base is not object)


def type_name(kind: type) -> str:
    """`ValueError`, `package.module.Error`."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Policy(Struct, frozen=True):
    """How failed attempts of a job are treated."""

    backoff: Backoff = Exponential()
    retry_on: tuple[str, ...] | None = None
    """if given, other exceptions fail the job at once"""
    fail_on: tuple[str, ...] = ()
    """these fail the job at once"""

    def forgives(self, raised: Raised) -> bool:
        """Whether an exception may be followed by another attempt."""
        names = raised.lineage or (raised.type,)
        if any(name in self.fail_on for name in names):
            return False
        return self.retry_on is None or any(name in self.retry_on for name in names)


def judge(claim: Claim, ending: Ending, policy: Policy, chance: random.Random) -> Outcome:
    """What becomes of the job, given what its code did.

    Failed attempts are counted against `max_attempts`; crashes are not (they have `max_crashes`), nor are snoozes and
    clean stops. `Retry` is a failed attempt whatever the policy forgives.
    """
    match ending:
        case Returned(result):
            return Outcome(claim.ref, claim.fence, Verdict.COMPLETED, result)
        case Raised():
            return _failed(claim, ending, policy, chance, again=policy.forgives(ending), after=None)
        case AskedRetry(raised, after):
            return _failed(claim, raised, policy, chance, again=True, after=after)
        case AskedSnooze(span):
            return Outcome(claim.ref, claim.fence, Verdict.SNOOZED, delay=span)
        case AskedCancel(reason):
            return Outcome(claim.ref, claim.fence, Verdict.CANCELLED, reason=reason)
        case Interrupted():
            return Outcome(claim.ref, claim.fence, Verdict.RELEASED)
        case Died():
            failure = crash_failure(claim.attempt, claim.crashes + 1)
            return Outcome(claim.ref, claim.fence, Verdict.CRASHED, failure=failure)


def _failed(
    claim: Claim, raised: Raised, policy: Policy, chance: random.Random, *, again: bool, after: int | None
) -> Outcome:
    failure = Failure(attempt=claim.attempt, type=raised.type, message=raised.message, traceback=raised.traceback)
    failed = claim.attempt - claim.crashes
    if not again or failed >= claim.max_attempts:
        return Outcome(claim.ref, claim.fence, Verdict.FAILED, failure=failure)
    delay = after if after is not None else _pause(policy.backoff, failed, chance)
    return Outcome(claim.ref, claim.fence, Verdict.RETRY, delay=delay, failure=failure)


def _pause(backoff: Backoff, failed: int, chance: random.Random) -> int:
    try:
        return to_span(backoff.seconds(max(1, failed), chance))
    except Exception:  # noqa: BLE001 - the caller's rule failed; the job must not be lost over it
        return 60 * SECOND


def as_backoff(value: Any) -> Backoff:
    """A backoff as people give it: one of `exponential` and `fixed`, a number of seconds, or a rule of their own."""
    if isinstance(value, Exponential | Fixed | Custom):
        return value
    if isinstance(value, timedelta):
        return fixed(value.total_seconds())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return fixed(value)
    if callable(value):
        rule: Any = value
        return Custom(rule)
    raise InvalidOption(f"backoff must be exponential(…), fixed(…), seconds or a callable, not {value!r}")
