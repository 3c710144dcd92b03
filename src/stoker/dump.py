"""Records moved from store to store: as JSON lines, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from stoker.engine import Script
from stoker.errors import InvalidOption, StokerError
from stoker.job import Job
from stoker.store import Filter, Page, Store

Target = str | Path | IO[bytes]
"""A file by its path, or one that is open."""

_CHUNK: Final = 1000
"""Records read or put back in one transaction, so that nobody waits long for the store."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode


def dumped(store: Store, stream: IO[bytes], which: Filter) -> Script[int]:
    """Write the records that match; returns how many."""
    total, after = 0, ""
    while jobs := (yield store.find(which, Page(_CHUNK, after=after))):
        stream.writelines(_encode(job) + b"\n" for job in jobs)
        total += len(jobs)
        after = jobs[-1].id
    return total


def loaded(store: Store, stream: IO[bytes]) -> Script[int]:
    """Put records back; returns how many were not there. Raises `InvalidOption` that names the line that is none."""
    total = 0
    chunk: list[Job] = []
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            chunk.append(_decode(line))
        except msgspec.MsgspecError as error:
            if chunk:
                total += yield store.restore(chunk)
            raise InvalidOption(f"line {number} is not a job's record: {error}; {total} jobs were put back") from error
        if len(chunk) >= _CHUNK:
            total += yield store.restore(chunk)
            chunk = []
    if chunk:
        total += yield store.restore(chunk)
    return total


@contextmanager
def opened(path: Target, mode: str) -> Iterator[IO[bytes]]:
    """The file, closed afterwards if it was opened here. Raises `StokerError`."""
    if isinstance(path, str | Path):
        try:
            stream = Path(path).open(mode)  # noqa: SIM115 - closed below
        except OSError as error:
            raise StokerError(f"{path} cannot be opened: {error.strerror}") from error
        with stream:
            yield stream
    else:
        yield path
