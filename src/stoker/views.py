"""What a store answers to those who look at many jobs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stoker.job import Job, State


class Totals(Struct, frozen=True):
    """How many jobs there are, by state."""

    counts: Mapping[State, int]
    """states with none are left out"""
    estimated: bool = False
    """the numbers of finished jobs are the store's guess"""


class Changes(Struct, frozen=True):
    """What became of jobs that somebody watches."""

    jobs: Sequence[Job] = ()
    """as they are now, by id; those that are as they were are left out"""
    gone: Sequence[str] = ()
    """ids that name no job any more, or never did, sorted"""
