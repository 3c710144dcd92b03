-- Every statement of the SQLite store, named as the verb (or the step of a verb) that uses it.
-- Lists travel as one JSON text each way: one step of the database instead of one a row. States are stored as numbers,
-- written here as $queued and so on; workers, too, are numbers in `stoker_jobs`: rows that are small and do not grow.

-- name: insert
-- One row; the store repeats the last parenthesis for more, because each run of a statement costs as much as a row.
INSERT INTO stoker_jobs (
    id, task, queue, payload, state, priority, run_at, max_attempts, max_crashes, keep_for, created_at, updated_at,
    owner, key, tags, overrides, meta, parents, workflow, schedule
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: insert_full
-- The same for batches in which a job has more to say. What is limited is parked at first; then the first are let in.
INSERT INTO stoker_jobs (
    id, task, queue, payload, state, priority, run_at, max_attempts, max_crashes, keep_for, created_at, updated_at,
    owner, key, tags, overrides, meta, parents, workflow, schedule, on_parent_failure, parent_failed, limit_key, share
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: begin
-- Changes nothing, but takes the right to write: what is read from here on nobody else changes.
UPDATE stoker_meta SET value = value WHERE name = ''

-- name: inserted
-- Which of a batch are new: refs only grow (with gaps where a row was skipped), so these are the last :changed ones.
SELECT id FROM stoker_jobs ORDER BY ref DESC LIMIT :changed

-- name: holder
SELECT id FROM stoker_jobs WHERE id = :id
UNION ALL
SELECT id FROM stoker_jobs WHERE key = :key AND state IN ($waiting, $scheduled, $queued, $processing, $parked)
LIMIT 1

-- name: look
-- One glance before a claim: is the worker alive (then its number), when is the next job due, which queues are paused
-- or limited, does any job wait for another, is any limited?
SELECT
    (SELECT ref FROM stoker_workers WHERE id = :worker AND lease_until > :now),
    (SELECT min(run_at) FROM stoker_jobs WHERE state = $scheduled),
    (SELECT json_group_array(json_array(name, paused, concurrency, rate, period, full_at)) FROM stoker_queues
        WHERE paused OR concurrency IS NOT NULL OR rate IS NOT NULL),
    EXISTS (SELECT 1 FROM stoker_edges),
    EXISTS (SELECT 1 FROM stoker_limits)

-- name: unknown
-- Claims of a worker that it does not know of.
SELECT json_group_array(ref) FROM stoker_jobs
WHERE worker = (SELECT ref FROM stoker_workers WHERE id = :worker) AND state = $processing
AND ref NOT IN (SELECT value FROM json_each(:known))

-- name: ready
-- The queues that have jobs to claim: one step of the index for each, however deep they are.
WITH RECURSIVE names (name) AS (
    SELECT min(queue) FROM stoker_jobs WHERE state = $queued
    UNION ALL
    SELECT (SELECT min(queue) FROM stoker_jobs WHERE state = $queued AND queue > name) FROM names WHERE name IS NOT NULL
)
SELECT json_group_array(name) FROM names WHERE name IS NOT NULL

-- name: promote
UPDATE stoker_jobs SET state = iif(limit_key IS NULL, $queued, $parked), updated_at = :now
WHERE state = $scheduled AND run_at <= :now

-- name: pick
SELECT json_group_array(json_array(
    ref, fence + 1, id, task, queue, payload, attempt + 1, crashes, max_attempts, owner, checkpoint, overrides
)) FROM (
    SELECT ref, fence, id, task, queue, payload, attempt, crashes, max_attempts, owner, checkpoint, overrides
    FROM stoker_jobs
    WHERE queue = :queue AND state = $queued AND task IN (SELECT value FROM json_each(:tasks))
    ORDER BY priority DESC, turn, run_at, ref
    LIMIT :room
)

-- name: pick_tagged
SELECT json_group_array(json_array(
    ref, fence + 1, id, task, queue, payload, attempt + 1, crashes, max_attempts, owner, checkpoint, overrides
)) FROM (
    SELECT ref, fence, id, task, queue, payload, attempt, crashes, max_attempts, owner, checkpoint, overrides
    FROM stoker_jobs
    WHERE queue = :queue AND state = $queued AND task IN (SELECT value FROM json_each(:tasks))
    AND CASE
        WHEN tags IS NULL THEN :untagged
        ELSE EXISTS (SELECT 1 FROM json_each(tags) AS tag WHERE tag.value IN (SELECT value FROM json_each(:tags)))
    END
    ORDER BY priority DESC, turn, run_at, ref
    LIMIT :room
)

-- name: take
UPDATE stoker_jobs
SET state = $processing, fence = fence + 1, attempt = attempt + 1, worker = :worker, started_at = :now, updated_at = :now
WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: held
-- Which of these outcomes belong to claims that are held now: the fence of every settle.
SELECT json_group_array(json_array(stoker_jobs.ref, stoker_jobs.fence))
FROM json_each(:claims) AS claim CROSS JOIN stoker_jobs
WHERE stoker_jobs.ref = json_extract(claim.value, '$[0]')
AND stoker_jobs.fence = json_extract(claim.value, '$[1]')
AND stoker_jobs.state = $processing

-- name: complete
-- The common outcome: completed, with no last words. Each outcome is `"REF": "FENCE RESULT"`, which needs no JSON path
-- to take apart. A claim that is not held any more has no next state: NOT NULL then undoes the whole statement, so that
-- the fence costs the usual case, where every claim is held, nothing.
UPDATE stoker_jobs
SET state = CASE WHEN state = $processing AND fence = CAST(done.value AS INTEGER) THEN $completed END,
    result = substr(done.value, instr(done.value, ' ') + 1), error = NULL, cancelling = NULL,
    finished_at = :now, updated_at = :now, expires_at = :now + keep_for
FROM json_each(:outcomes) AS done
WHERE stoker_jobs.ref = CAST(done.key AS INTEGER)

-- name: known
SELECT json_group_array(ref) FROM stoker_jobs WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: settle
-- Any outcome. `next` is where it leads; the rest follows from it.
UPDATE stoker_jobs
SET state = o.next,
    attempt = attempt - (o.verdict IN ('snoozed', 'released')),
    crashes = crashes + (o.verdict = 'crashed'),
    run_at = CASE WHEN o.verdict IN ('retry', 'snoozed') THEN :now + o.delay ELSE run_at END,
    result = CASE WHEN o.next = $completed THEN o.result ELSE stoker_jobs.result END,
    progress = coalesce(o.progress, stoker_jobs.progress),
    message = coalesce(o.message, stoker_jobs.message),
    checkpoint = coalesce(o.checkpoint, stoker_jobs.checkpoint),
    errors = CASE
        WHEN o.entry IS NULL THEN errors
        ELSE json_insert(coalesce(errors, '[]'), '$[#]', json_set(o.entry, '$.worker', (SELECT id FROM stoker_workers WHERE ref = worker), '$.at', :now))
    END,
    error = CASE
        WHEN o.next = $completed THEN NULL
        WHEN o.next = $cancelled THEN coalesce(iif(o.verdict = 'cancelled', nullif(o.reason, ''), NULL), nullif(cancelling, ''))
        ELSE coalesce(o.error, stoker_jobs.error)
    END,
    cancelling = CASE WHEN o.finished THEN NULL ELSE cancelling END,
    finished_at = CASE WHEN o.finished THEN :now ELSE finished_at END,
    expires_at = CASE WHEN o.finished THEN :now + keep_for ELSE expires_at END,
    updated_at = :now
FROM (
    SELECT verdict, ref, delay, result, progress, message, checkpoint, reason, next,
        next IN ($completed, $failed, $cancelled) AS finished,
        CASE WHEN verdict = 'crashed' THEN iif(next = $failed, crash_entry, NULL) ELSE entry END AS entry,
        CASE WHEN verdict = 'crashed' THEN iif(next = $failed, 'crashed: ' || crash_message, NULL) ELSE error END AS error
    FROM (
        SELECT *,
            CASE
                WHEN verdict = 'completed' THEN $completed
                WHEN verdict = 'failed' THEN $failed
                WHEN verdict = 'cancelled' OR asked THEN $cancelled
                WHEN verdict = 'crashed' THEN iif(:capped AND died >= max_crashes, $failed, home)
                WHEN verdict <> 'released' AND delay > 0 THEN $scheduled
                ELSE home
            END AS next,
            json_object('attempt', attempt, 'type', 'crashed', 'message', crash_message) AS crash_entry
        FROM (
            SELECT
                job.ref AS ref, job.attempt AS attempt, job.max_crashes AS max_crashes,
                job.crashes + 1 AS died,
                job.cancelling IS NOT NULL AS asked,
                iif(job.limit_key IS NULL, $queued, $parked) AS home,
                'the process that ran this job died or lost its lease, '
                    || iif(job.crashes = 0, 'once', (job.crashes + 1) || ' times') AS crash_message,
                json_extract(outcome.value, '$.verdict') AS verdict,
                coalesce(json_extract(outcome.value, '$.delay'), 0) AS delay,
                json_extract(outcome.value, '$.result') AS result,
                json_extract(outcome.value, '$.progress') AS progress,
                json_extract(outcome.value, '$.message') AS message,
                json_extract(outcome.value, '$.checkpoint') AS checkpoint,
                json_extract(outcome.value, '$.reason') AS reason,
                json_extract(outcome.value, '$.entry') AS entry,
                json_extract(outcome.value, '$.error') AS error
            FROM json_each(:outcomes) AS outcome CROSS JOIN stoker_jobs AS job
            WHERE job.ref = json_extract(outcome.value, '$.ref')
        )
    )
) AS o
WHERE stoker_jobs.ref = o.ref

-- name: register
INSERT INTO stoker_workers (id, host, pid, version, queues, tags, concurrency, started_at, seen_at, lease_until)
VALUES (:id, :host, :pid, :version, :queues, :tags, :concurrency, :now, :now, :now + :lease)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, version = excluded.version, queues = excluded.queues, tags = excluded.tags,
    concurrency = excluded.concurrency, seen_at = excluded.seen_at, lease_until = excluded.lease_until,
    started_at = iif(gone, excluded.started_at, started_at), command = iif(gone, NULL, command), gone = 0

-- name: report
UPDATE stoker_jobs
SET progress = coalesce(?, progress), message = coalesce(?, message), checkpoint = coalesce(?, checkpoint), updated_at = ?
WHERE ref = ? AND fence = ? AND state = $processing

-- name: renew
UPDATE stoker_workers SET seen_at = :now, lease_until = :now + :lease WHERE id = :worker AND lease_until > :now

-- name: orders
SELECT
    EXISTS (SELECT 1 FROM stoker_workers WHERE id = :worker AND lease_until > :now),
    (SELECT json_group_array(json_array(ref, fence)) FROM (
        SELECT ref, fence FROM stoker_jobs
        WHERE worker = (SELECT ref FROM stoker_workers WHERE id = :worker)
        AND state = $processing AND cancelling IS NOT NULL
        ORDER BY ref
    )),
    (SELECT command FROM stoker_workers WHERE id = :worker AND NOT gone)

-- name: command
UPDATE stoker_workers SET command = :command WHERE id = :worker AND lease_until > :now

-- name: retire
-- The row stays, because jobs say who ran them by its number.
UPDATE stoker_workers SET gone = 1, lease_until = 0 WHERE id = :worker

-- name: lost
-- INDEXED BY, because SQLite would rather walk the whole table, whose order is the wanted one.
SELECT json_group_array(ref) FROM (
    SELECT ref FROM stoker_jobs INDEXED BY stoker_jobs_held
    WHERE state = $processing
    AND coalesce(worker, 0) NOT IN (SELECT ref FROM stoker_workers WHERE lease_until > :now)
    ORDER BY ref LIMIT :limit
)

-- name: tally
SELECT sum(state IN ($queued, $parked)), sum(state = $failed) FROM stoker_jobs WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: forget
UPDATE stoker_workers SET gone = 1
WHERE NOT gone AND lease_until <= :now
AND ref NOT IN (SELECT worker FROM stoker_jobs WHERE state = $processing AND worker IS NOT NULL)

-- name: name_workers
-- Names of workers that only restored records speak of.
INSERT INTO stoker_workers (id, host, pid, version, concurrency, started_at, seen_at, lease_until, gone)
SELECT value, '', 0, '', 0, :now, :now, 0, 1 FROM json_each(:ids) WHERE true
ON CONFLICT DO NOTHING

-- name: prune_workers
DELETE FROM stoker_workers WHERE gone AND seen_at <= :before

-- name: expired
-- Jobs of a workflow stay while one of its jobs is unfinished.
SELECT json_group_array(ref) FROM (
    SELECT ref FROM stoker_jobs AS job
    WHERE expires_at <= :now AND (workflow IS NULL OR NOT EXISTS (
        SELECT 1 FROM stoker_jobs AS other
        WHERE other.workflow = job.workflow AND other.state IN ($waiting, $scheduled, $queued, $processing, $parked)
    ))
    ORDER BY expires_at, ref LIMIT :limit
)

-- name: pause
INSERT INTO stoker_queues (name, paused) VALUES (:queue, :paused)
ON CONFLICT (name) DO UPDATE SET paused = excluded.paused

-- name: cancel
UPDATE stoker_jobs
SET cancelling = CASE WHEN state = $processing THEN coalesce(:reason, '') END,
    error = CASE WHEN state = $processing THEN error ELSE :reason END,
    finished_at = CASE WHEN state = $processing THEN finished_at ELSE :now END,
    expires_at = CASE WHEN state = $processing THEN expires_at ELSE :now + keep_for END,
    state = CASE WHEN state = $processing THEN state ELSE $cancelled END,
    updated_at = :now
WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: retry
-- OR IGNORE: of two jobs with one key, the first is queued and holds it; the other stays.
UPDATE OR IGNORE stoker_jobs
SET state = iif(limit_key IS NULL, $queued, $parked), run_at = :now, updated_at = :now,
    finished_at = NULL, expires_at = NULL, parent_failed = 0,
    max_attempts = max(max_attempts, attempt - crashes + 1),
    max_crashes = max(max_crashes, crashes + 1)
WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: prioritise
UPDATE stoker_jobs SET priority = :priority, updated_at = :now WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: delete
DELETE FROM stoker_jobs WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: version
SELECT value FROM stoker_meta WHERE name = 'schema'

-- name: has_schema
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'stoker_meta'

-- name: set_version
INSERT INTO stoker_meta (name, value) VALUES ('schema', :version) ON CONFLICT (name) DO UPDATE SET value = excluded.value
