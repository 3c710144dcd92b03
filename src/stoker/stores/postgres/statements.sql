-- Every statement of the PostgreSQL store that is not a function of its schema's own.

-- name: has_schema
-- From the catalog's rows: to_regclass may remember that there was none before it waited for `lock_schema`.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = '$schema' AND c.relname = 'meta'
)

-- name: version
SELECT value::integer FROM "$schema".meta WHERE name = 'schema'

-- name: lock_schema
SELECT pg_advisory_xact_lock(hashtextextended('stoker $schema', 0))

-- name: insert
SELECT place, holder FROM "$schema".insert_jobs(%(jobs)s::text::json, %(related)s::boolean, %(now)s::bigint)

-- name: exchange
SELECT alive, due_in, refused, claims, walked, reached, from_start FROM "$schema".exchange(
    %(worker)s::text, %(refs)s::text::bigint[], %(fences)s::text::bigint[], string_to_array(%(results)s::text, %(separator)s::text),
    %(outcomes)s::text::json, %(known)s::text::bigint[], %(queues)s::text[], %(limits)s::text::integer[], %(limit)s::integer,
    %(turn)s::bigint, %(tasks)s::text[], %(tags)s::text[], %(untagged)s::boolean,
    %(floors)s::text::json, %(now)s::bigint
)

-- name: register
INSERT INTO "$schema".workers (id, host, pid, version, queues, tags, concurrency, started_at, seen_at, lease_until)
SELECT %(id)s::text, %(host)s::text, %(pid)s::bigint, %(version)s::text, %(queues)s::text, %(tags)s::text,
    %(concurrency)s::integer, at, at, at + %(lease)s::bigint
FROM "$schema".present(%(now)s::bigint) AS at
ON CONFLICT (left(id, 255), hashtextextended(id, 0)) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, version = excluded.version, queues = excluded.queues, tags = excluded.tags,
    concurrency = excluded.concurrency, seen_at = excluded.seen_at, lease_until = excluded.lease_until,
    started_at = CASE WHEN workers.gone THEN excluded.started_at ELSE workers.started_at END,
    command = CASE WHEN NOT workers.gone THEN workers.command END,
    gone = false, lapsed = false

-- name: heartbeat
SELECT alive, asked, command FROM "$schema".heartbeat(
    %(worker)s::text, %(reports)s::text::json, %(lease)s::bigint, %(now)s::bigint
)

-- name: hear
SELECT alive, asked, command FROM "$schema".orders(%(worker)s::text, %(now)s::bigint)

-- name: command
UPDATE "$schema".workers SET command = %(command)s::text FROM "$schema".present(%(now)s::bigint) AS at
WHERE left(id, 255) = left(%(worker)s, 255) AND id = %(worker)s AND NOT gone AND NOT lapsed AND lease_until > at
RETURNING true

-- name: retire
UPDATE "$schema".workers SET gone = true, lapsed = true, asleep = false, lease_until = 0
WHERE left(id, 255) = left(%(worker)s, 255) AND id = %(worker)s

-- name: recover
SELECT queued, failed FROM "$schema".recover(%(limit)s::bigint, %(now)s::bigint)

-- name: prune
WITH old_tallies AS (
    DELETE FROM "$schema".tallies USING "$schema".present(%(now)s::bigint) AS now
    WHERE tallies.at <= now - %(tallies_kept)s::bigint
), old_entries AS (
    DELETE FROM "$schema".audit USING "$schema".present(%(now)s::bigint) AS now
    WHERE audit.at <= now - %(audit_kept)s::bigint
)
SELECT "$schema".prune(%(limit)s::bigint, %(remembered)s::bigint, %(now)s::bigint)

-- name: pause
WITH rung AS (SELECT "$schema".wake("$schema".present(%(now)s::bigint)) WHERE NOT %(paused)s)
INSERT INTO "$schema".queues (name, paused) SELECT %(queue)s, %(paused)s FROM (SELECT count(*) FROM rung) AS done
ON CONFLICT (left(name, 255), hashtextextended(name, 0)) DO UPDATE SET paused = excluded.paused

-- name: chosen
SELECT array_agg(id), array_agg(ref) FROM (
    SELECT id, ref FROM "$schema".jobs AS job WHERE {condition} ORDER BY id LIMIT %(limit)s FOR UPDATE
) AS job

-- name: cancel
SELECT "$schema".cancel(%(ids)s::text[], %(reason)s::text, %(now)s::bigint)

-- name: retry
SELECT "$schema".retry(%(ids)s::text[], %(now)s::bigint)

-- name: requeue
SELECT "$schema".requeue(%(refs)s::bigint[], %(now)s::bigint)

-- name: prioritise
SELECT "$schema".prioritise(%(ids)s::text[], %(priority)s::smallint, %(now)s::bigint)

-- name: delete
SELECT "$schema".delete_jobs(%(ids)s::text[], %(now)s::bigint)

-- name: name_workers
-- Names of workers that only restored records speak of.
INSERT INTO "$schema".workers (id, host, pid, version, concurrency, started_at, seen_at, lease_until, lapsed, gone)
SELECT id, '', 0, '', 0, at, at, 0, true, true
FROM "$schema".present(%(now)s::bigint) AS at, unnest(%(ids)s::text[]) AS id
ON CONFLICT DO NOTHING

-- name: restore
WITH made AS (
    INSERT INTO "$schema".jobs ({columns}, parked, expires_at)
    SELECT {values}, state = $queued AND limit_key IS NOT NULL, finished_at + keep_for
    FROM ROWS FROM (json_to_recordset(%(records)s::text::json) AS ({types})) WITH ORDINALITY AS record
    ORDER BY record.ordinality
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT array_agg(id), "$schema".wake("$schema".present(%(now)s::bigint)) FROM made

-- name: take_back
SELECT "$schema".take_back(%(made)s::text[], %(waits)s::text::json, %(now)s::bigint)

-- name: limit
SELECT "$schema".limit_queue(
    %(queue)s::text, %(concurrency)s::bigint, %(rate)s::bigint, %(period)s::bigint, %(fair)s::text, %(now)s::bigint
)

-- name: find
SELECT {columns} FROM "$schema".jobs AS job WHERE {condition} ORDER BY id {order} LIMIT %(limit)s

-- name: count
SELECT {facet}, count(*) FROM "$schema".jobs AS job WHERE {condition} AND {facet} IS NOT NULL GROUP BY {facet}

-- name: eligible
SELECT {total} FROM "$schema".jobs AS job WHERE {condition}

-- name: census
-- Each state by the index that holds only its jobs.
WITH running AS MATERIALIZED (
    SELECT worker, count(*) AS total FROM "$schema".jobs WHERE state = $processing GROUP BY worker
)
SELECT at,
    (SELECT json_agg(json_build_array(name, paused, concurrency, rate, period, fair))::text FROM "$schema".queues),
    (SELECT json_agg(json_build_array(queue, state, total, due))::text FROM (
        SELECT queue, 'queued' AS state, count(*) AS total, min(run_at) AS due
        FROM "$schema".jobs WHERE state = $queued AND NOT parked GROUP BY queue
        UNION ALL
        SELECT queue, 'queued', count(*), min(run_at)
        FROM "$schema".jobs WHERE state = $queued AND parked GROUP BY queue
        UNION ALL
        SELECT queue, 'scheduled', count(*), NULL FROM "$schema".jobs WHERE state = $scheduled GROUP BY queue
        UNION ALL
        SELECT queue, 'waiting', count(*), NULL FROM "$schema".jobs WHERE state = $waiting GROUP BY queue
        UNION ALL
        SELECT queue, 'processing', count(*), NULL FROM "$schema".jobs WHERE state = $processing GROUP BY queue
    ) AS counted),
    (SELECT json_agg(json_build_array(
        id, host, pid, version, queues, tags, concurrency, started_at, seen_at, lease_until,
        coalesce((SELECT total FROM running WHERE worker = known.ref), 0), command
    ) ORDER BY started_at, id)::text FROM "$schema".workers AS known WHERE NOT gone)
FROM "$schema".present(%(now)s::bigint) AS at

-- name: totals
SELECT counts, estimated FROM "$schema".totals(%(most)s::bigint)

-- name: changes
-- Ids with the instants at which they were seen: those jobs that are not as they were, and ids that are nobody's.
SELECT asked, {columns} FROM "$schema".changed(%(ids)s::text[], %(instants)s::text::bigint[]) AS one
CROSS JOIN LATERAL (SELECT (one.present).*) AS job ORDER BY asked COLLATE "C"

-- name: front
SELECT id FROM "$schema".front(%(queue)s::text, %(limit)s::bigint)

-- name: logs
SELECT said.attempt, said.fence, right(string_agg(said.text, '' ORDER BY said.number), %(longest)s)
FROM "$schema".jobs AS job JOIN "$schema".logs AS said ON said.job = job.ref
WHERE job.id = %(id)s GROUP BY said.fence, said.attempt ORDER BY said.fence

-- name: keep
SELECT "$schema".keep(%(name)s::text, %(value)s::text)

-- name: results
SELECT id, result FROM "$schema".jobs WHERE id = ANY (%(ids)s::text[]) AND state = $completed AND result IS NOT NULL

-- name: flows
-- By the first characters of names, which an index holds in order: those of one workflow more than asked for, as the
-- first may have others before it.
WITH RECURSIVE found (start) AS (
    (
        SELECT left(workflow, 255) FROM "$schema".jobs WHERE workflow IS NOT NULL AND {first}
        ORDER BY left(workflow, 255) {order} LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT left(workflow, 255) FROM "$schema".jobs WHERE workflow IS NOT NULL AND left(workflow, 255) {beyond} found.start
        ORDER BY left(workflow, 255) {order} LIMIT 1
    ) FROM found WHERE found.start IS NOT NULL
), chosen AS (
    SELECT start FROM found WHERE start IS NOT NULL LIMIT %(limit)s + 1
), counted AS (
    SELECT workflow, state, min(created_at) AS created_at, max(updated_at) AS updated_at,
        count(*) FILTER (WHERE (state = $cancelled AND on_parent_failure = 'only') IS NOT TRUE) AS total
    FROM "$schema".jobs WHERE workflow IS NOT NULL AND left(workflow, 255) = ANY (ARRAY(SELECT start FROM chosen))
    AND {condition} GROUP BY workflow, state
)
SELECT workflow, json_object_agg(state, total), min(created_at)::bigint, max(updated_at)::bigint
FROM counted GROUP BY workflow ORDER BY workflow {order} LIMIT %(limit)s

-- name: named_flows
WITH counted AS (
    SELECT workflow, state, min(created_at) AS created_at, max(updated_at) AS updated_at,
        count(*) FILTER (WHERE (state = $cancelled AND on_parent_failure = 'only') IS NOT TRUE) AS total
    FROM "$schema".jobs
    WHERE workflow IS NOT NULL AND left(workflow, 255) = ANY (ARRAY(SELECT left(id, 255) FROM unnest(%(ids)s::text[]) AS id))
    AND workflow = ANY (%(ids)s::text[]) AND {condition} GROUP BY workflow, state
)
SELECT workflow, json_object_agg(state, total), min(created_at)::bigint, max(updated_at)::bigint
FROM counted GROUP BY workflow ORDER BY workflow {order} LIMIT %(limit)s

-- name: put_schedules
SELECT "$schema".put_schedules(%(puts)s::text::json, %(now)s::bigint)

-- name: drop_schedule
DELETE FROM "$schema".schedules
WHERE left(name, 255) = left(%(name)s, 255) AND name = %(name)s RETURNING true

-- name: read_schedules
SELECT at,
    (SELECT greatest(0, next_at - at) FROM "$schema".schedules WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1),
    (
        SELECT json_agg(json_build_array(name, document, next_at, version) ORDER BY name) FROM "$schema".schedules
        WHERE %(names)s::text[] IS NULL OR name = ANY (%(names)s::text[])
    )
FROM "$schema".present(%(now)s::bigint) AS at

-- name: due_schedules
SELECT at,
    (SELECT greatest(0, next_at - at) FROM "$schema".schedules WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1),
    (
        SELECT json_agg(json_build_array(name, document, next_at, version) ORDER BY next_at, name) FROM (
            SELECT * FROM "$schema".schedules WHERE next_at <= at ORDER BY next_at, name LIMIT %(limit)s
        ) AS due
    )
FROM "$schema".present(%(now)s::bigint) AS at

-- name: acquire_lock
SELECT given, free_in FROM "$schema".acquire_lock(%(name)s::text, %(holder)s::text, %(ttl)s::bigint, %(now)s::bigint)

-- name: renew_lock
UPDATE "$schema".locks SET until = at + %(ttl)s::bigint FROM "$schema".present(%(now)s::bigint) AS at
WHERE left(name, 255) = left(%(name)s, 255) AND name = %(name)s AND token = %(token)s AND until > at RETURNING true

-- name: release_lock
DELETE FROM "$schema".locks USING "$schema".present(%(now)s::bigint) AS at
WHERE left(name, 255) = left(%(name)s, 255) AND name = %(name)s AND token = %(token)s AND until > at RETURNING true

-- name: add_tallies
-- In the order of their names, so that of two who add to the same, one waits for the other.
INSERT INTO "$schema".tallies (at, queue, completed, failed, retried, cancelled)
SELECT now / %(minute)s::bigint * %(minute)s::bigint, queue, sum(completed), sum(failed), sum(retried), sum(cancelled)
FROM "$schema".present(%(now)s::bigint) AS now, json_to_recordset(%(tallies)s::text::json)
    AS told (queue text, completed bigint, failed bigint, retried bigint, cancelled bigint)
GROUP BY now, queue ORDER BY queue
ON CONFLICT (at, left(queue, 255), hashtextextended(queue, 0)) DO UPDATE SET
    completed = tallies.completed + excluded.completed, failed = tallies.failed + excluded.failed,
    retried = tallies.retried + excluded.retried, cancelled = tallies.cancelled + excluded.cancelled

-- name: tallies
SELECT queue, sum(completed)::bigint, sum(failed)::bigint, sum(retried)::bigint, sum(cancelled)::bigint, step
FROM (
    SELECT *, at / %(step)s::bigint * %(step)s::bigint AS step
    FROM "$schema".tallies, "$schema".present(%(now)s::bigint) AS now
    WHERE at >= (now - %(span)s::bigint) / %(step)s::bigint * %(step)s::bigint
) AS told
GROUP BY step, queue HAVING sum(completed + failed + retried + cancelled) > 0 ORDER BY step, queue

-- name: write_entry
INSERT INTO "$schema".audit (id, who, action, target, count, detail, at)
SELECT %(id)s, %(who)s, %(action)s, %(target)s, %(count)s::bigint, %(detail)s, now
FROM "$schema".present(%(now)s::bigint) AS now
ON CONFLICT (id) DO UPDATE SET who = excluded.who, action = excluded.action, target = excluded.target,
    count = excluded.count, detail = excluded.detail

-- name: entries
SELECT id, who, action, target, count, detail, at FROM "$schema".audit
WHERE %(before)s::text IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s
