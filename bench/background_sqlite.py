"""Files that already hold much: what `bench` drains beside."""

import sqlite3

from bench.measuring import jobs
from stoker.clock import now
from stoker.drivers.sqlite import SqliteDriver
from stoker.stores.sqlite import SqliteStore

MILLION = 1_000_000
BACKGROUNDS = {"empty": [], "1M queued": [(2, MILLION)], "5M finished": [(4, 5 * MILLION)]}
CROWDED = [(4, 5 * MILLION), (2, MILLION)]
"""what a dashboard must show quickly: as states and numbers of jobs, oldest first"""

FILL = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO stoker_jobs (id, task, queue, payload, state, priority, run_at, max_attempts, max_crashes, keep_for,
    created_at, updated_at, fence, attempt, worker, started_at, finished_at, expires_at, result)
SELECT printf('0000000%d-0000-7000-8000-%012x', :place, i), 'other', 'default', '[[1,"text"],{}]', :state, -1, :now, 1, 3, 604800000000,
    :now, :now, :done, :done, iif(:done, 1, NULL), iif(:done, :now, NULL), iif(:done, :now, NULL),
    iif(:done, :now + 604800000000, NULL), iif(:done, 'null', NULL)
FROM n
"""


def prepare(path: str, background: list[tuple[int, int]]) -> str:
    """A file with that many jobs of another task in it. Queued ones have a lower priority, so they stay behind."""
    driver = SqliteDriver(path, synchronous="normal")
    driver.run(SqliteStore().migrate())
    driver.close()
    if background:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -1000000")
        connection.execute("BEGIN")
        for place, (state, count) in enumerate(background):
            facts = {"place": place, "count": jobs(count), "state": state, "now": now(), "done": state == 4}
            connection.execute(FILL, facts)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    return path
