-- Limits by key and by queue. Statements as in `statements.sql`.

-- name: put_limit
-- Writes only what is new, and once a day that it is still in use.
INSERT INTO stoker_limits (key, concurrency, rate, period, full_at, empty_at, seen_at) VALUES (?, ?, ?, ?, 0, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    concurrency = excluded.concurrency, rate = excluded.rate, period = excluded.period,
    empty_at = stoker_limits.full_at + excluded.empty_at, seen_at = excluded.seen_at
WHERE stoker_limits.concurrency IS NOT excluded.concurrency OR stoker_limits.rate IS NOT excluded.rate
OR stoker_limits.period IS NOT excluded.period OR stoker_limits.seen_at < excluded.seen_at - 86400000000

-- name: know_limits
-- Limits of jobs that come back: without numbers where there are none yet.
INSERT INTO stoker_limits (key, seen_at) SELECT value, :now FROM json_each(:keys) WHERE true ON CONFLICT DO NOTHING

-- name: keys_of
SELECT json_group_array(DISTINCT job.limit_key) FROM json_each(:refs) AS one CROSS JOIN stoker_jobs AS job
WHERE job.ref = one.value AND job.limit_key IS NOT NULL

-- name: keys_in
SELECT json_group_array(limit_key) FROM (
    SELECT limit_key FROM stoker_jobs WHERE queue = :queue AND state = $queued AND limit_key IS NOT NULL
    UNION
    SELECT limit_key FROM stoker_jobs WHERE queue = :queue AND state = $parked AND limit_key IS NOT NULL
)

-- name: stirred
-- The limits to look at before a claim: of jobs that were settled or are due, those for which a token came in, and those
-- whose buckets hold less than they did, or are emptier than empty, because the clock stepped back.
SELECT json_group_array(limit_key), EXISTS (SELECT 1 FROM stoker_limits WHERE rate IS NOT NULL AND empty_at > :now) FROM (
    SELECT job.limit_key FROM json_each(:refs) AS one CROSS JOIN stoker_jobs AS job
    WHERE job.ref = one.value AND job.limit_key IS NOT NULL
    UNION
    SELECT limit_key FROM stoker_jobs WHERE state = $scheduled AND run_at <= :now AND limit_key IS NOT NULL
    UNION
    SELECT key FROM stoker_limits WHERE next_at <= :now
    UNION
    SELECT key FROM stoker_limits WHERE stood_at > :now
    UNION
    SELECT key FROM stoker_limits WHERE rate IS NOT NULL AND empty_at > :now
)

-- name: mend
UPDATE stoker_limits SET full_at = :now + (full_at - empty_at), empty_at = :now
WHERE rate IS NOT NULL AND empty_at > :now

-- name: rooms
-- What stands of each limit, with as much of its jobs as matters.
SELECT json_group_array(json_array(
    most.key, concurrency, rate, period, full_at, next_at, is_empty, stood_at,
    CASE WHEN concurrency IS NULL THEN 0
        ELSE (SELECT count(*) FROM stoker_jobs WHERE limit_key = most.key AND state = $processing) END,
    (SELECT count(*) FROM stoker_jobs WHERE limit_key = most.key AND state = $queued),
    EXISTS (SELECT 1 FROM stoker_jobs WHERE limit_key = most.key AND state = $parked)
)) FROM json_each(:keys) AS one CROSS JOIN stoker_limits AS most WHERE most.key = one.value

-- name: charge
UPDATE stoker_limits SET full_at = ?, empty_at = ?, next_at = ?, is_empty = ?, stood_at = ? WHERE key = ?

-- name: admit
-- Of each limit, the first :room jobs of each queue may be claimed; the others are parked. Looks at no more parked jobs
-- than there is room for, however many there are.
UPDATE stoker_jobs SET state = iif(ranked.place <= :room, $queued, $parked)
FROM (
    WITH RECURSIVE lines (key, queue) AS (
        SELECT value, (SELECT min(queue) FROM stoker_jobs WHERE limit_key = value AND state = $parked)
        FROM json_each(:keys)
        UNION ALL
        SELECT lines.key, (
            SELECT min(job.queue) FROM stoker_jobs AS job
            WHERE job.limit_key = lines.key AND job.state = $parked AND job.queue > lines.queue
        ) FROM lines WHERE lines.queue IS NOT NULL
    )
    SELECT ref, state,
        row_number() OVER (PARTITION BY limit_key, queue ORDER BY priority DESC, turn, run_at, ref) AS place
    FROM (
        SELECT job.ref, job.state, job.limit_key, job.queue, job.priority, job.turn, job.run_at
        FROM json_each(:keys) AS one CROSS JOIN stoker_jobs AS job
        WHERE job.limit_key = one.value AND job.state = $queued
        UNION ALL
        SELECT job.ref, job.state, job.limit_key, job.queue, job.priority, job.turn, job.run_at
        FROM lines CROSS JOIN stoker_jobs AS job
        WHERE job.ref IN (
            SELECT first.ref FROM stoker_jobs AS first
            WHERE first.limit_key = lines.key AND first.state = $parked AND first.queue = lines.queue
            ORDER BY first.priority DESC, first.turn, first.run_at, first.ref LIMIT :room
        )
    )
) AS ranked
WHERE stoker_jobs.ref = ranked.ref AND (ranked.state = $queued) <> (ranked.place <= :room)

-- name: token
SELECT min(next_at) FROM stoker_limits WHERE is_empty

-- name: forget_limits
DELETE FROM stoker_limits WHERE seen_at <= :before AND full_at <= :now
AND NOT EXISTS (
    SELECT 1 FROM stoker_jobs WHERE limit_key = stoker_limits.key
    AND (state = $waiting OR state = $scheduled OR state = $queued OR state = $processing OR state = $parked)
)

-- name: ready_parked
-- As `ready`, for queues that have jobs over their limit.
WITH RECURSIVE names (name) AS (
    SELECT min(queue) FROM stoker_jobs WHERE state = $parked AND limit_key IS NOT NULL
    UNION ALL
    SELECT (SELECT min(queue) FROM stoker_jobs WHERE state = $parked AND limit_key IS NOT NULL AND queue > name)
    FROM names WHERE name IS NOT NULL
)
SELECT json_group_array(name) FROM names WHERE name IS NOT NULL

-- name: pick_limited
-- As `pick` and `pick_tagged`; besides, each one's limit and place.
SELECT json_group_array(json_array(
    ref, fence + 1, id, task, queue, payload, attempt + 1, crashes, max_attempts, owner, checkpoint, overrides
)), json_group_array(json_array(limit_key, -priority, turn, run_at, ref)) FROM (
    SELECT * FROM stoker_jobs
    WHERE queue = :queue AND state = $queued AND task IN (SELECT value FROM json_each(:tasks))
    AND CASE
        WHEN :tags IS NULL THEN 1
        WHEN tags IS NULL THEN :untagged
        ELSE EXISTS (SELECT 1 FROM json_each(tags) AS tag WHERE tag.value IN (SELECT value FROM json_each(:tags)))
    END
    ORDER BY priority DESC, turn, run_at, ref
    LIMIT :room
)

-- name: passed_over
-- Limits whose first jobs (up to a place) this worker cannot take: of these it may take later ones.
SELECT json_group_array(DISTINCT limit_key) FROM stoker_jobs INDEXED BY stoker_jobs_lines
WHERE queue = :queue AND state = $queued AND limit_key IS NOT NULL
AND (:ref IS NULL OR -priority < :rank OR (-priority = :rank AND (turn, run_at, ref) < (:turn, :run_at, :ref)))
AND NOT (task IN (SELECT value FROM json_each(:tasks)) AND CASE
    WHEN :tags IS NULL THEN 1
    WHEN tags IS NULL THEN :untagged
    ELSE EXISTS (SELECT 1 FROM json_each(tags) AS tag WHERE tag.value IN (SELECT value FROM json_each(:tags)))
END)

-- name: pick_parked
-- The first jobs of a limit and a queue that this worker can take, though others of that limit stand before them.
SELECT json_group_array(json_array(
    ref, fence + 1, id, task, queue, payload, attempt + 1, crashes, max_attempts, owner, checkpoint, overrides
)), json_group_array(json_array(limit_key, -priority, turn, run_at, ref)) FROM (
    SELECT * FROM stoker_jobs
    WHERE limit_key = :key AND state = $parked AND queue = :queue AND task IN (SELECT value FROM json_each(:tasks))
    AND CASE
        WHEN :tags IS NULL THEN 1
        WHEN tags IS NULL THEN :untagged
        ELSE EXISTS (SELECT 1 FROM json_each(tags) AS tag WHERE tag.value IN (SELECT value FROM json_each(:tags)))
    END
    ORDER BY priority DESC, turn, run_at, ref
    LIMIT :room
)

-- name: busy
SELECT count(*) FROM stoker_jobs INDEXED BY stoker_jobs_held WHERE state = $processing AND queue = :queue

-- name: lined_up
SELECT EXISTS (SELECT 1 FROM stoker_jobs WHERE state = $queued AND queue = :queue)
OR EXISTS (SELECT 1 FROM stoker_jobs WHERE state = $parked AND limit_key IS NOT NULL AND queue = :queue)

-- name: charge_queue
UPDATE stoker_queues SET full_at = :full_at WHERE name = :queue
