"""What SQLite refuses, as errors of ours that say what to do about it."""

from __future__ import annotations

import sqlite3
from typing import Final

from stoker.drivers.driver import GIVEN_UP
from stoker.errors import StokerError, StoreBroken, StoreUnavailable, TookTooLong

_UNFIT: Final = frozenset(
    {0, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}
)
"""Not the database's fault but of what it was given (0: the module itself refused it): another try would fail, too."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_CAUSES: Final = {
    sqlite3.SQLITE_BUSY: (StoreUnavailable, "another process has kept it locked for too long; is one hanging?"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailable, "another process has kept it locked for too long; is one hanging?"),
    sqlite3.SQLITE_FULL: (StoreUnavailable, "the disk is full; nothing of this call was written"),
    sqlite3.SQLITE_READONLY: (StoreUnavailable, "the file or its folder is read-only; make both writable"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "it cannot be opened; does the folder exist, and may we write there?"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "reading or writing failed; nothing of this call was written"),
    sqlite3.SQLITE_PERM: (StoreUnavailable, "access was denied"),
    sqlite3.SQLITE_INTERRUPT: (TookTooLong, GIVEN_UP),
    sqlite3.SQLITE_CORRUPT: (
        StoreBroken,
        "the file is damaged; restore it from a backup, or see `sqlite3 FILE .recover`",
    ),
    sqlite3.SQLITE_NOTADB: (StoreBroken, "the file is not a SQLite database"),
}


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest is the extended code


def is_busy(error: BaseException) -> bool:
    """Whether somebody else has the lock."""
    return _code(error) in _BUSY


def translated(error: BaseException, path: str) -> Exception:
    """The error as one of ours, with what to do about it."""
    if isinstance(error, StokerError):
        return error
    if isinstance(error, sqlite3.Error) and _code(error) not in _UNFIT:
        kind, advice = _CAUSES.get(_code(error), (StoreUnavailable, "SQLite refused"))
        made = kind(f"the database {path}: {advice} ({error})")
        made.__cause__ = error
        return made
    if isinstance(error, Exception):
        return error
    made = StoreUnavailable(f"the database {path}: the call was interrupted ({type(error).__name__})")
    made.__cause__ = error
    return made
