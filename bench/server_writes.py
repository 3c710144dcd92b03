"""How much a server has written, by its own count."""

from __future__ import annotations

import os


def writes() -> int:
    """PostgreSQL: records of its log. Redis: changes of keys."""
    url = os.environ["BENCH_URL"]
    return _redis(url) if url.startswith("redis") else _postgres(url)


def _postgres(url: str) -> int:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT wal_records FROM pg_stat_wal").fetchone()
    assert row is not None
    return int(row[0])


def _redis(url: str) -> int:
    from redis import Redis

    with Redis.from_url(url) as client:
        return int(client.info("persistence")["rdb_changes_since_last_save"])
