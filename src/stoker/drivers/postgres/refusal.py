"""What PostgreSQL and psycopg refuse, as errors of ours that say what to do about it."""

from __future__ import annotations

import re
from typing import Final

import psycopg

from stoker.errors import ConfigError, StokerError, StoreBroken, StoreUnavailable

_UNFIT: Final = ("22", "23", "54")
"""Classes of codes that are not the database's fault but of what it was given: another try would fail, too."""

_AGAIN: Final = ("40001", "40P01")
"""Nothing was done because of somebody else's transaction."""

_CAUSES: Final[tuple[tuple[str, type[StokerError], str], ...]] = (
    ("28", ConfigError, "it refused the user or the password; see the URL, and pg_hba.conf on the server"),
    ("3D000", ConfigError, "the database does not exist; create it, or correct the URL"),
    ("42501", ConfigError, "a privilege is missing: {grant}"),
    ("3F", StoreBroken, "the schema is not there; run: stoker migrate"),
    ("42", StoreBroken, "tables or functions are missing or of another version; run: stoker migrate"),
    ("26", StoreUnavailable, "a prepared statement is gone: behind a pooler, add prepare=no to the URL"),
    ("42P05", StoreUnavailable, "prepared statements get mixed up: behind a pooler, add prepare=no to the URL"),
    ("25006", StoreUnavailable, "it is read-only, a standby perhaps; the URL must name the primary"),
    ("40", StoreUnavailable, "other transactions were in the way again and again"),
    ("53100", StoreUnavailable, "its disk is full; nothing of this call was written"),
    ("53300", StoreUnavailable, "it has no connection left; raise max_connections, lower pool_size, or use a pooler"),
    ("55P03", StoreUnavailable, "something else has kept a lock for too long"),
    ("57014", StoreUnavailable, "the call was cancelled, by statement_timeout or by a person"),
    ("57", StoreUnavailable, "it is stopping, starting or was restarted"),
    ("XX001", StoreBroken, "data is damaged; restore a backup"),
    ("XX002", StoreBroken, "an index is damaged; REINDEX it"),
)
"""By the beginning of the code; the longest that fits counts."""

_SAID: Final[tuple[tuple[str, type[StokerError], str], ...]] = (
    (r"password authentication failed|no password supplied", ConfigError, "it refused the password of this user"),
    (r"no pg_hba\.conf entry|authentication failed", ConfigError, "pg_hba.conf on the server lets nobody in this way"),
    (r"role .* does not exist", ConfigError, "the user (role) does not exist; create it, or correct the URL"),
    (r"database .* does not exist", ConfigError, "the database does not exist; create it, or correct the URL"),
    (r"permission denied for database", ConfigError, "this user may not connect: GRANT CONNECT ON DATABASE … TO …"),
    (
        r"too many (clients|connections)|remaining connection slots",
        StoreUnavailable,
        "it has no connection left; raise max_connections, lower pool_size, or use a pooler",
    ),
    (r"invalid \w+ value|servname not supported", ConfigError, "the URL holds a value that libpq does not take"),
    (r"invalid sslmode|does not support SSL|certificate", ConfigError, "TLS: see sslmode and the certificates"),
    (r"could not translate host|name or service not known|resolve host", StoreUnavailable, "its name is not found"),
    (r"refused|No such file", StoreUnavailable, "nothing answers there; is the server running?"),
    (r"timeout|timed out", StoreUnavailable, "it did not answer in time"),
)
"""Of what is said when no connection comes about: these errors carry no code."""


def is_passing(error: BaseException) -> bool:
    """Whether nothing was done because of somebody else's transaction, and the same plan may be run again."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _AGAIN


def translated(error: BaseException, place: str, schema: str) -> BaseException:
    """The error as one of ours; one that is the fault of what the database was given stays as it is."""
    if not isinstance(error, psycopg.Error | OSError):
        return error
    code = getattr(error, "sqlstate", None)
    if code is not None:
        if code.startswith(_UNFIT):
            return error
        known = [cause for cause in _CAUSES if code.startswith(cause[0])]
        kind, advice = max(known)[1:] if known else (StoreUnavailable, "it refused")
    elif isinstance(error, psycopg.DataError | psycopg.ProgrammingError):  # refused by psycopg itself, nothing was sent
        return error
    else:
        said = [cause for cause in _SAID if re.search(cause[0], str(error), re.IGNORECASE)]
        kind, advice = said[0][1:] if said else (StoreUnavailable, "the connection is lost")
    grant = f"GRANT USAGE ON SCHEMA {schema}, and ALL on its tables, sequences and functions (or CREATE ON DATABASE)"
    made = kind(f"{place}: {advice.format(grant=grant)} ({_brief(error)})")
    made.__cause__ = error
    return made


def _brief(error: BaseException) -> str:
    """What the server said, without the addresses that were tried and what the message says already."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
