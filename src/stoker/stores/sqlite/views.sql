-- What people read. Statements as in `statements.sql`.

-- name: census_queues
SELECT queue, 'queued', count(*), min(run_at) FROM stoker_jobs WHERE state = $queued GROUP BY queue
UNION ALL
SELECT queue, 'queued', count(*), min(run_at) FROM stoker_jobs WHERE state = $parked AND limit_key IS NOT NULL GROUP BY queue
UNION ALL
SELECT queue, 'scheduled', count(*), NULL FROM stoker_jobs WHERE state = $scheduled GROUP BY queue
UNION ALL
SELECT queue, 'waiting', count(*), NULL FROM stoker_jobs WHERE state = $waiting GROUP BY queue
UNION ALL
SELECT queue, 'processing', count(*), NULL FROM stoker_jobs WHERE state = $processing GROUP BY queue

-- name: queues
SELECT name, paused, concurrency, rate, period, fair FROM stoker_queues ORDER BY name

-- name: workers
SELECT id, host, pid, version, queues, tags, concurrency, started_at, seen_at, lease_until,
    (SELECT count(*) FROM stoker_jobs WHERE worker = stoker_workers.ref AND state = $processing),
    command
FROM stoker_workers WHERE NOT gone ORDER BY started_at, id

-- name: results
SELECT job.id, job.result FROM json_each(:ids) AS one CROSS JOIN stoker_jobs AS job
WHERE job.id = one.value AND job.state = $completed AND job.result IS NOT NULL

-- name: workflows_back
-- The workflows before one, newest first: one step of the index for each, however many jobs they have.
WITH RECURSIVE names (name) AS (
    SELECT max(workflow) FROM stoker_jobs WHERE workflow IS NOT NULL AND (:before IS NULL OR workflow < :before)
    UNION ALL
    SELECT (SELECT max(workflow) FROM stoker_jobs WHERE workflow < name) FROM names WHERE name IS NOT NULL
    LIMIT :limit
)
SELECT name FROM names WHERE name IS NOT NULL

-- name: workflows_forth
WITH RECURSIVE names (name) AS (
    SELECT min(workflow) FROM stoker_jobs WHERE workflow > :after
    UNION ALL
    SELECT (SELECT min(workflow) FROM stoker_jobs WHERE workflow > name) FROM names WHERE name IS NOT NULL
    LIMIT :limit
)
SELECT name FROM names WHERE name IS NOT NULL

-- name: flows
-- Jobs that were there for a failure and were not needed do not count.
SELECT job.workflow, iif(job.state = $parked, $queued, job.state),
    count(*) FILTER (WHERE NOT (job.state = $cancelled AND job.on_parent_failure IS 'only')),
    min(job.created_at), max(job.updated_at)
FROM json_each(:names) AS one CROSS JOIN stoker_jobs AS job
WHERE job.workflow = one.value
GROUP BY 1, 2

-- name: unfinished
-- Jobs of the states that are asked for, up to a limit: each by the index that holds only such jobs.
SELECT json_group_array(ref) FROM (
    SELECT ref FROM stoker_jobs WHERE state = $waiting AND :waiting
    UNION ALL
    SELECT ref FROM stoker_jobs WHERE state = $scheduled AND :scheduled
    UNION ALL
    SELECT ref FROM stoker_jobs WHERE state = $queued AND :queued
    UNION ALL
    SELECT ref FROM stoker_jobs WHERE state = $parked AND limit_key IS NOT NULL AND :queued
    UNION ALL
    SELECT ref FROM stoker_jobs WHERE state = $processing AND :processing
    LIMIT :limit
)

-- name: totals
-- Unfinished jobs by the index that holds them alone. Completed ones have none of their own: they are those that expire
-- and did not end badly, by the narrowest indexes that there are.
SELECT $waiting, (SELECT count(*) FROM stoker_jobs WHERE state = $waiting)
UNION ALL SELECT $scheduled, (SELECT count(*) FROM stoker_jobs WHERE state = $scheduled)
UNION ALL SELECT $queued, (SELECT count(*) FROM stoker_jobs WHERE state = $queued)
    + (SELECT count(*) FROM stoker_jobs WHERE state = $parked AND limit_key IS NOT NULL)
UNION ALL SELECT $processing, (SELECT count(*) FROM stoker_jobs WHERE state = $processing)
UNION ALL SELECT $completed, (SELECT count(*) FROM stoker_jobs WHERE expires_at IS NOT NULL)
    - (SELECT count(*) FROM stoker_jobs WHERE state IN ($failed, $cancelled))
UNION ALL SELECT state, count(*) FROM stoker_jobs WHERE state IN ($failed, $cancelled) GROUP BY state

-- name: changes
-- Ids with the instants at which they were seen: those jobs that are not as they were, and ids that are nobody's.
SELECT name, {columns} FROM (SELECT key AS name, value AS seen_at FROM json_each(:seen))
LEFT JOIN stoker_jobs ON stoker_jobs.id = name
WHERE updated_at IS NOT seen_at ORDER BY name

-- name: front
-- The first of those that claims look at, and of those that wait behind their limits.
SELECT id FROM (
    SELECT * FROM (
        SELECT id, priority, turn, run_at, ref FROM stoker_jobs
        WHERE queue = :queue AND state = $queued
        ORDER BY priority DESC, turn, run_at, ref LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT id, priority, turn, run_at, ref FROM stoker_jobs
        WHERE queue = :queue AND state = $parked AND limit_key IS NOT NULL
        ORDER BY priority DESC, turn, run_at, ref LIMIT :limit
    )
)
ORDER BY priority DESC, turn, run_at, ref LIMIT :limit

-- name: keep
INSERT INTO stoker_kept (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING

-- name: kept
SELECT value FROM stoker_kept WHERE name = :name
