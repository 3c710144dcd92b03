"""How much a server has written, by its own count."""

from __future__ import annotations

import os


def writes() -> int:
    """PostgreSQL: changes of rows (its own upkeep writes more, now and then). Redis: changes of keys."""
    url = os.environ["BENCH_URL"]
    return _redis(url) if url.startswith("redis") else _postgres(url)


def _postgres(url: str) -> int:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        changed = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"
        row = connection.execute(changed).fetchone()
    assert row is not None
    return int(row[0])


def _redis(url: str) -> int:
    from redis import Redis

    with Redis.from_url(url) as client:
        return int(client.info("persistence")["rdb_changes_since_last_save"])
