"""A peer on a server, and what can be measured of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rival:
    """Another system; fewer jobs for a slower one."""

    name: str
    side: str
    jobs: int
    variant: str = ""
    enqueues: bool = True
    bulk: bool = False
    together: bool = False
