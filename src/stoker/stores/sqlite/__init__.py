"""Jobs in one SQLite file."""

from stoker.stores.sqlite.plans import SqliteStore

__all__ = ["SqliteStore"]
