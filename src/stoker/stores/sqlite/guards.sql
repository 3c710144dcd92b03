-- What makes one job of many requests. Statements as in `statements.sql`.

-- name: guarded
-- The job that stands under a name, if it is there: until when, and whether it has yet to begin.
SELECT guard.job, guard.until, job.ref, job.state IN ($scheduled, $queued, $parked) AND job.attempt = 0, job.limit_key
FROM stoker_guards AS guard CROSS JOIN stoker_jobs AS job
WHERE guard.name = :name AND job.id = guard.job

-- name: guard
INSERT INTO stoker_guards (name, job, until) VALUES (:name, :job, :until)
ON CONFLICT (name) DO UPDATE SET job = excluded.job, until = excluded.until

-- name: put_off
UPDATE stoker_jobs SET payload = :payload, run_at = :run_at, state = $scheduled, updated_at = :now WHERE ref = :ref

-- name: forget_guards
-- Those that stand for nothing any more.
DELETE FROM stoker_guards WHERE until <= :now AND NOT EXISTS (
    SELECT 1 FROM stoker_jobs AS job
    WHERE job.id = stoker_guards.job AND job.state IN ($scheduled, $queued, $parked) AND job.attempt = 0
)
