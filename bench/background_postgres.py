"""Databases that already hold much: what `bench` drains beside. One row is the store's own, the others are its copies."""

from __future__ import annotations

from bench.measuring import jobs, run
from bench.places import Place, PostgresPlaces

MILLION = 1_000_000
BACKGROUNDS = {
    "empty": [],
    "1M queued": [("queued", MILLION)],
    "1M scheduled": [("scheduled", MILLION)],
    "5M finished": [("completed", 5 * MILLION)],
}
CROWDED = [("completed", 5 * MILLION), ("queued", MILLION)]
"""what a dashboard must show quickly: as states and numbers of jobs, oldest first"""

COLUMNS = """
SELECT string_agg(column_name, ',') FROM information_schema.columns
WHERE table_schema = 'stoker' AND table_name = 'jobs' AND is_identity = 'NO'
"""
COPY = """
INSERT INTO stoker.jobs ({columns})
SELECT {values} FROM (SELECT * FROM stoker.jobs ORDER BY id DESC LIMIT 1) AS one, generate_series(1, {count}) AS number
"""
OTHERWISE = {"id": "left(id, 24) || lpad(to_hex(number), 12, '0')", "run_at": "run_at + number"}


def prepare(places: PostgresPlaces, background: list[tuple[str, int]]) -> Place:
    """A database with that many jobs of another task in it. Queued ones have a lower priority, so they stay behind."""
    place = places.create()
    for state, count in background:
        run("scale", place, "plant", state, 1)
        columns = places.sql(COLUMNS, place).split(",")
        values = [OTHERWISE.get(column, column) for column in columns]
        places.sql(COPY.format(columns=", ".join(columns), values=", ".join(values), count=jobs(count)), place)
    if background:
        places.sql("VACUUM (ANALYZE) stoker.jobs", place)
    return place
