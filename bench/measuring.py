"""Runs the sides of a measurement: each in a process of its own, in turns, for several rounds.

So a machine whose speed drifts moves all of them; what counts is the ratio in one run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.tally import Tally

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SHARE = int(os.environ.get("BENCH_SHARE", "1"))
"""Only every so many-th job is measured: to see whether the benchmark itself works."""
TIMEOUT = 300
"""Seconds that a side may take."""

Facts = dict[str, Any]
Measure = Callable[[], Facts]


class SideFailed(Exception):
    """A side did not run, and why."""


def jobs(number: int) -> int:
    """That many jobs, in thousands, or as many as are asked for."""
    return max(1000, number // SHARE) // 1000 * 1000


def seconds(number: float) -> float:
    return max(3.0, number / SHARE)


def run(side: str, place: Mapping[str, str], verb: str, *arguments: Any) -> Facts:
    """One measurement of one side in one place. Raises `SideFailed`."""
    command = [sys.executable, "-m", f"bench.side_{side}", verb, *map(json.dumps, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "BENCH_TALLY": Tally.create(Path(folder) / "tally"), **place}
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            raise SideFailed(f"it was not done within {TIMEOUT} s") from None
        if done.returncode != 0:
            raise SideFailed(done.stderr.strip() or f"it ended with {done.returncode}")
        facts: Facts = json.loads(done.stdout.splitlines()[-1])
        return facts


def rounds(sides: Mapping[str, Measure], number: int = ROUNDS) -> dict[str, Facts]:
    """The medians of each side. A peer that does not run is left out, with the reason."""
    found: dict[str, list[Facts]] = {name: [] for name in sides}
    failed: dict[str, Facts] = {}
    for _ in range(number):
        for name, measure in sides.items():
            if name in failed:
                continue
            try:
                found[name].append(measure())
            except SideFailed as error:
                if name.startswith(("stoker", "raw")):
                    raise SystemExit(f"{name} failed:\n{error}") from None
                print(f"{name} is left out:\n{error}", file=sys.stderr, flush=True)
                failed[name] = {"left_out": str(error).splitlines()[-1]}
    return {name: failed.get(name) or middle(found[name]) for name in sides}


def middle(results: list[Facts]) -> Facts:
    numbers = {k for k, v in results[0].items() if isinstance(v, int | float)}
    return {k: statistics.median(r[k] for r in results) if k in numbers else v for k, v in results[0].items()}
