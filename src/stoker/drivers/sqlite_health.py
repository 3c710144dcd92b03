"""Whether a SQLite file, and what is around it, are in order. Looks, and changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stoker.drivers.driver import Finding

_LEAST_VERSION: Final = (3, 35, 0)
_LITTLE_ROOM: Final = 200 * 1024 * 1024
_BIG_LOG: Final = 512 * 1024 * 1024
_PATIENCE: Final = 5.0
"""Seconds to wait for the write lock before it counts as held by something that hangs."""


def examine(path: str) -> list[Finding]:
    """Every finding about the file, its folder and SQLite itself."""
    file = Path(path)
    findings = [_version(), *_around(file)]
    if file.exists():
        findings += _inside(file)
    return findings


def _version() -> Finding:
    old = sqlite3.sqlite_version_info < _LEAST_VERSION
    least = ".".join(map(str, _LEAST_VERSION))
    return Finding("sqlite", sqlite3.sqlite_version, f"Stoker needs SQLite {least} or newer" if old else None)


def _around(file: Path) -> Iterator[Finding]:
    folder = file.parent
    if not folder.is_dir():
        yield Finding("folder", f"{folder} does not exist", f"make it: mkdir -p {folder}")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "folder", f"{folder} is not writable", "SQLite keeps its log beside the file; let this user write there"
        )
    if not file.exists():
        yield Finding("file", f"{file} does not exist yet; the first job or worker makes it")
        return
    yield Finding("file", f"{file}, {_size(file.stat().st_size)}")
    if not os.access(file, os.W_OK):
        yield Finding("file", f"{file} is read-only", "let this user write it")
    free = shutil.disk_usage(folder).free
    yield Finding(
        "disk", f"{_size(free)} free", "make room; a full disk stops every enqueue" if free < _LITTLE_ROOM else None
    )
    log = file.with_name(file.name + "-wal")
    if log.exists() and log.stat().st_size > _BIG_LOG:
        yield Finding(
            "log",
            f"{log} has grown to {_size(log.stat().st_size)}",
            "something reads for very long (a forgotten transaction, a backup); end it and the log shrinks",
        )


def _inside(file: Path) -> Iterator[Finding]:
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=_PATIENCE, isolation_level=None)
    except sqlite3.Error as error:
        yield Finding("open", f"{file} cannot be opened: {error}", "see that the file and its folder are accessible")
        return
    try:
        yield _integrity(connection)
        yield _writable(connection)
    finally:
        connection.close()


def _integrity(connection: sqlite3.Connection) -> Finding:
    advice = "stop the workers, keep a copy, and restore a backup, or see `sqlite3 FILE .recover`"
    try:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        rows = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        return Finding("integrity", str(error), advice)
    if rows != ["ok"]:
        return Finding("integrity", "; ".join(rows), advice)
    return Finding("integrity", f"quick_check says ok, journal mode {mode}")


def _writable(connection: sqlite3.Connection) -> Finding:
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        advice = "if it is locked: which process writes for so long? Else see the permissions of file and folder"
        return Finding("writable", f"no: {error}", advice)
    return Finding("writable", "yes")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
