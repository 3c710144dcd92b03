-- Who waits for whom, and what the end of a job means to those that wait for it. Statements as in `statements.sql`.

-- name: parents
-- Parents that are there and did not complete: with whether they are unfinished.
SELECT job.id, job.state NOT IN ($failed, $cancelled) FROM json_each(:ids) AS one CROSS JOIN stoker_jobs AS job
WHERE job.id = one.value AND job.state <> $completed

-- name: extendable
SELECT job.id FROM json_each(:ids) AS one CROSS JOIN stoker_jobs AS job
WHERE job.id = one.value AND job.state = $processing

-- name: extend_edges
-- Pairs of a new job and the one that it extends: who waits for the one will wait for the other.
INSERT INTO stoker_edges (parent, child)
SELECT json_extract(pair.value, '$[0]'), edge.child
FROM json_each(:pairs) AS pair CROSS JOIN stoker_edges AS edge
WHERE edge.parent = json_extract(pair.value, '$[1]')
ON CONFLICT DO NOTHING

-- name: extend_parents
-- The new ones are named to those that wait for them, behind the parents that these had.
UPDATE stoker_jobs SET parents = (
    SELECT json_group_array(name) FROM (
        SELECT value AS name FROM json_each(coalesce(stoker_jobs.parents, '[]'))
        UNION ALL
        SELECT json_extract(pair.value, '$[0]') FROM json_each(:pairs) AS pair
        WHERE EXISTS (
            SELECT 1 FROM stoker_edges AS edge
            WHERE edge.parent = json_extract(pair.value, '$[0]') AND edge.child = stoker_jobs.ref
        )
    )
), updated_at = :now
WHERE ref IN (
    SELECT edge.child FROM json_each(:pairs) AS pair CROSS JOIN stoker_edges AS edge
    WHERE edge.parent = json_extract(pair.value, '$[0]')
)

-- name: link
-- New jobs wait for their parents. Refs grow, so a parent that stands after its child in a batch is none.
INSERT INTO stoker_edges (parent, child)
SELECT parent.id, child.ref
FROM json_each(:ids) AS one
CROSS JOIN stoker_jobs AS child ON child.id = one.value
CROSS JOIN json_each(child.parents) AS name
CROSS JOIN stoker_jobs AS parent ON parent.id = name.value AND parent.ref < child.ref
WHERE parent.state IN ($waiting, $scheduled, $queued, $processing, $parked)
OR (parent.state IN ($failed, $cancelled) AND child.on_parent_failure = 'hold')
ON CONFLICT DO NOTHING

-- name: newborn
-- New jobs that wait, by what they find: a failure, or nothing that they would wait for.
SELECT ref, id, policy IS NULL AND failed, policy IN ('run', 'only') AND failed FROM (
    SELECT job.ref, job.id, job.on_parent_failure AS policy, EXISTS (
        SELECT 1 FROM json_each(job.parents) AS name CROSS JOIN stoker_jobs AS parent
        WHERE parent.id = name.value AND parent.ref < job.ref AND parent.state IN ($failed, $cancelled)
    ) AS failed
    FROM json_each(:ids) AS one CROSS JOIN stoker_jobs AS job
    WHERE job.id = one.value AND job.state = $waiting
)

-- name: mark
UPDATE stoker_jobs SET parent_failed = 1 WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: relink
-- Jobs that were retried wait for those of their parents that are unfinished.
INSERT INTO stoker_edges (parent, child)
SELECT parent.id, child.ref
FROM json_each(:refs) AS one
CROSS JOIN stoker_jobs AS child ON child.ref = one.value
CROSS JOIN json_each(child.parents) AS name
CROSS JOIN stoker_jobs AS parent ON parent.id = name.value AND parent.ref <> child.ref
WHERE child.state IN ($queued, $parked) AND parent.state IN ($waiting, $scheduled, $queued, $processing, $parked)
ON CONFLICT DO NOTHING

-- name: rejoin
UPDATE stoker_jobs
SET state = CASE WHEN EXISTS (SELECT 1 FROM stoker_edges WHERE child = stoker_jobs.ref) THEN $waiting ELSE state END,
    parent_failed = EXISTS (
        SELECT 1 FROM json_each(stoker_jobs.parents) AS name CROSS JOIN stoker_jobs AS parent
        WHERE parent.id = name.value AND parent.ref <> stoker_jobs.ref AND parent.state IN ($failed, $cancelled)
    )
WHERE ref IN (SELECT value FROM json_each(:refs)) AND parents IS NOT NULL AND state IN ($queued, $parked)

-- name: ended
-- Of these jobs, those that ended and that somebody waits for; with whether they completed.
SELECT json_group_array(json_array(job.id, job.state = $completed))
FROM json_each(:refs) AS one CROSS JOIN stoker_jobs AS job
WHERE job.ref = one.value AND job.state IN ($completed, $failed, $cancelled)
AND EXISTS (SELECT 1 FROM stoker_edges AS edge WHERE edge.parent = job.id)

-- name: ended_ids
SELECT json_group_array(json_array(job.id, job.state = $completed))
FROM json_each(:ids) AS one CROSS JOIN stoker_jobs AS job
WHERE job.id = one.value AND job.state IN ($completed, $failed, $cancelled)
AND EXISTS (SELECT 1 FROM stoker_edges AS edge WHERE edge.parent = job.id)

-- name: waited_for
-- Of these jobs, those that somebody waits for.
SELECT json_group_array(job.id) FROM json_each(:refs) AS one CROSS JOIN stoker_jobs AS job
WHERE job.ref = one.value AND EXISTS (SELECT 1 FROM stoker_edges AS edge WHERE edge.parent = job.id)

-- name: doomed
-- All that is cancelled because these ended badly: their children, the children of these, and so on. Who holds for one
-- that is gone has nothing to hold for.
WITH RECURSIVE doomed (ref, id) AS (
    SELECT job.ref, job.id FROM json_each(:ids) AS one
    CROSS JOIN stoker_edges AS edge ON edge.parent = one.value
    CROSS JOIN stoker_jobs AS job ON job.ref = edge.child
    WHERE job.on_parent_failure IS NULL OR (:gone AND job.on_parent_failure = 'hold')
    UNION
    SELECT job.ref, job.id FROM doomed
    CROSS JOIN stoker_edges AS edge ON edge.parent = doomed.id
    CROSS JOIN stoker_jobs AS job ON job.ref = edge.child
    WHERE job.on_parent_failure IS NULL
)
SELECT json_group_array(json_array(ref, id)) FROM doomed

-- name: end_waiting
UPDATE stoker_jobs
SET state = $cancelled, error = :error, finished_at = :now, expires_at = :now + keep_for, updated_at = :now
WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: part
-- They wait for nothing any more.
DELETE FROM stoker_edges WHERE child IN (SELECT value FROM json_each(:refs))

-- name: note
-- Who waits for one of these, and is not cancelled for it, is told that it ended badly.
UPDATE stoker_jobs SET parent_failed = 1
WHERE on_parent_failure IN ('run', 'only') AND ref IN (
    SELECT edge.child FROM json_each(:ids) AS one CROSS JOIN stoker_edges AS edge WHERE edge.parent = one.value
)

-- name: unlink
DELETE FROM stoker_edges WHERE parent IN (SELECT value FROM json_each(:ids)) RETURNING child

-- name: unlink_bad
DELETE FROM stoker_edges
WHERE parent IN (SELECT value FROM json_each(:ids))
AND (SELECT on_parent_failure FROM stoker_jobs WHERE ref = child) IS NOT 'hold'
RETURNING child

-- name: touch
-- Waiting jobs that wait for less than before.
UPDATE stoker_jobs SET updated_at = :now WHERE ref IN (SELECT value FROM json_each(:refs)) AND state = $waiting

-- name: freed
-- Of these, those that wait for nothing any more; with whether they were there for a failure that did not come.
SELECT json_group_array(json_array(job.ref, job.id, job.on_parent_failure IS 'only' AND NOT job.parent_failed))
FROM json_each(:refs) AS one CROSS JOIN stoker_jobs AS job
WHERE job.ref = one.value AND job.state = $waiting
AND NOT EXISTS (SELECT 1 FROM stoker_edges AS edge WHERE edge.child = job.ref)

-- name: release
UPDATE stoker_jobs
SET state = CASE WHEN run_at > :now THEN $scheduled WHEN limit_key IS NULL THEN $queued ELSE $parked END,
    updated_at = :now
WHERE ref IN (SELECT value FROM json_each(:refs))

-- name: last
SELECT coalesce(max(ref), 0) FROM stoker_jobs

-- name: put_back_edges
-- Pairs of a parent and a child; the latter counts if it was put back just now.
INSERT INTO stoker_edges (parent, child)
SELECT json_extract(pair.value, '$[0]'), job.ref
FROM json_each(:pairs) AS pair CROSS JOIN stoker_jobs AS job
WHERE job.id = json_extract(pair.value, '$[1]') AND job.ref > :last
ON CONFLICT DO NOTHING
