"""A store that is measured: its name for people, the machine, and its sections."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from bench.measuring import SHARE, Facts

Section = Callable[[], dict[str, Facts]]


@dataclass(frozen=True)
class Store:
    """What there is to measure of one."""

    title: str
    machine: Facts
    sections: Mapping[str, Section]


def machine(store: Facts, *packages: str, settings: str) -> Facts:
    """Where and how it is measured, with the versions of the packages that take part."""
    facts: Facts = {"python": platform.python_version(), **store, "cores": os.cpu_count()}
    if packages:
        facts["packages"] = {package: version(package) for package in packages}
    if SHARE != 1:
        facts["share"] = f"1/{SHARE} of the jobs: not a measurement"
    return {**facts, "settings": settings}
