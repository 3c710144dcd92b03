"""How a worker stands, for those who look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stoker.store import Command, Worker

_TOLD: Final[Mapping[Command | None, str]] = {None: "alive", Command.QUIET: "quiet", Command.STOP: "stopping"}


def alive(worker: Worker, now: int) -> bool:
    """Whether its lease holds at that instant."""
    return worker.lease_until > now


def standing(worker: Worker, now: int) -> str:
    """`alive`, `quiet`, `stopping`, or `dead`: its lease ran out, and its jobs are about to be taken from it."""
    return _TOLD[worker.command] if alive(worker, now) else "dead"
