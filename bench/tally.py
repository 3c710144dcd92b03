"""What a worker of any system tells the benchmark: when its first and its last job ran, and when the last probe did."""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import time
from pathlib import Path

NUMBER = struct.Struct("q")
GOAL, FIRST, LAST, PROBE = (place * NUMBER.size for place in range(4))
SIZE = 4 * NUMBER.size


class Tally:
    """Four numbers in memory that processes share; instants are nanoseconds of the machine's monotonic clock."""

    def __init__(self, path: str | None = None) -> None:
        with Path(path or os.environ["BENCH_TALLY"]).open("r+b") as stream:
            self._memory = mmap.mmap(stream.fileno(), SIZE)
        self._numbers = itertools.count(1)
        self._goal = 0

    @staticmethod
    def create(path: Path) -> str:
        """The file of an empty one."""
        path.write_bytes(bytes(SIZE))
        return str(path)

    def read(self, place: int) -> int:
        return int(NUMBER.unpack_from(self._memory, place)[0])

    def write(self, place: int, number: int) -> None:
        NUMBER.pack_into(self._memory, place, number)

    # --- in a worker ------------------------------------------------------------------------------------------------

    def hit(self) -> None:
        """A job runs. Counted by one process, in any of its threads."""
        number = next(self._numbers)
        if number == 1:
            self._goal = self.read(GOAL)
            self.write(FIRST, time.monotonic_ns())
        if number == self._goal:
            self.write(LAST, time.monotonic_ns())

    def probe(self) -> None:
        """The first line of a job whose latency is measured."""
        self.write(PROBE, time.monotonic_ns())
