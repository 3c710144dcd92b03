"""Runs plans on psycopg 3."""

from stoker.drivers.postgres.driver import PostgresDriver

__all__ = ["PostgresDriver"]
