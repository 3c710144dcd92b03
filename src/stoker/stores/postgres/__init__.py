"""Jobs in one schema of a PostgreSQL database."""

from stoker.stores.postgres.plans import PostgresStore

__all__ = ["PostgresStore"]
