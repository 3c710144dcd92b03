-- What watchers, charts and people on call ask for: logs, tallies, an audit log, values that are kept, commands to
-- workers, totals. And whatever a reader can tell of a job changes its `updated_at`: that it waits for less as well.

-- What attempts logged, in the pieces in which they said it. `job`: the job's ref. `size`: in characters; it stands in
-- the index, so that nothing is read of what is kept to learn how much that is.
CREATE TABLE "$schema".logs (
    job bigint NOT NULL,
    fence bigint NOT NULL,
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    attempt integer NOT NULL,
    size integer NOT NULL,
    text text COLLATE "C" NOT NULL,
    PRIMARY KEY (job, fence, number) INCLUDE (size)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- How attempts ended, by the minute (its beginning) and queue.
CREATE TABLE "$schema".tallies (
    at bigint NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    retried bigint NOT NULL,
    cancelled bigint NOT NULL,
    queue text COLLATE "C" NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX tallies_at ON "$schema".tallies (at, left(queue, 255), hashtextextended(queue, 0));

-- Who did what.
CREATE TABLE "$schema".audit (
    at bigint NOT NULL,
    count bigint,
    id text COLLATE "C" PRIMARY KEY,
    who text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    detail text COLLATE "C"
);

CREATE INDEX audit_at ON "$schema".audit (at);

-- Values that are the same for everybody.
CREATE TABLE "$schema".kept (
    name text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL
);

CREATE UNIQUE INDEX kept_name ON "$schema".kept (left(name, 255), hashtextextended(name, 0));

ALTER TABLE "$schema".workers ADD COLUMN command text;

COMMENT ON COLUMN "$schema".workers.command IS 'what it was told last';

-- The jobs that are parked, in the order of claims: who is first in line is asked of them as well.
CREATE INDEX jobs_parked ON "$schema".jobs (left(queue, 255), (- priority), turn, run_at, ref)
    WHERE state = $queued AND parked;

-- Take in what attempts logged, if their claims are held: elements are arrays of ref, fence and text, one a claim. Gives
-- the instant, for what is to happen at the same time. Who speaks of a claim has locked its job: pieces come in order.
CREATE FUNCTION "$schema".log(said json, longest bigint, attempts bigint, instant bigint) RETURNS bigint LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
#variable_conflict use_column
DECLARE
    at CONSTANT bigint := present(instant);
    old tid[];
BEGIN
    PERFORM FROM jobs
    WHERE ref = ANY (ARRAY(SELECT (one ->> 0)::bigint FROM json_array_elements(said) AS one)) AND state = $processing
    ORDER BY ref FOR NO KEY UPDATE;
    INSERT INTO logs (job, fence, attempt, size, text)
    SELECT job.ref, job.fence, job.attempt, length(one ->> 2), one ->> 2
    FROM json_array_elements(said) AS one CROSS JOIN LATERAL (
        SELECT ref, fence, attempt FROM jobs
        WHERE ref = (one ->> 0)::bigint AND fence = (one ->> 1)::bigint AND state = $processing LIMIT 1
    ) AS job;
    -- Pieces behind which enough was said since, and those of attempts that are too long ago.
    old := ARRAY(
        SELECT place FROM json_array_elements(said) AS one CROSS JOIN LATERAL (
            SELECT ctid AS place, sum(size) OVER (ORDER BY number DESC) - size AS later FROM logs
            WHERE job = (one ->> 0)::bigint AND fence = (one ->> 1)::bigint
        ) AS piece
        WHERE later >= longest
        UNION ALL
        SELECT logs.ctid FROM json_array_elements(said) AS one CROSS JOIN logs
        WHERE job = (one ->> 0)::bigint AND fence <= (one ->> 1)::bigint - attempts
    );
    IF cardinality(old) > 0 THEN
        DELETE FROM logs WHERE ctid = ANY (old);
    END IF;
    RETURN at;
END
$body$;

CREATE FUNCTION "$schema".drop_logs(refs bigint[]) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_indexscan = on SET enable_indexonlyscan = on
AS $body$
BEGIN
    DELETE FROM logs WHERE job = ANY (refs);
END
$body$;

-- Logs go with their jobs. Gives the awaited ones, and the keys of limits.
CREATE OR REPLACE FUNCTION "$schema".drop_jobs(places tid[], OUT gone text[], OUT keys text[]) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
DECLARE
    refs bigint[];
BEGIN
    WITH dropped AS (DELETE FROM jobs WHERE ctid = ANY (places) RETURNING ref, id, awaited, limit_key, state)
    SELECT
        array_agg(ref),
        coalesce(array_agg(id) FILTER (WHERE awaited), '{}'),
        coalesce(array_agg(limit_key) FILTER (WHERE limit_key IS NOT NULL AND state IN ($queued, $processing)), '{}')
    INTO refs, gone, keys FROM dropped;
    PERFORM drop_logs(refs);
END
$body$;

-- The value that is kept under a name; where there is none, this one from now on. Whoever came first is waited for.
CREATE FUNCTION "$schema".keep(called text, given text) RETURNS text LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
AS $body$
BEGIN
    INSERT INTO kept (name, value) VALUES (called, given) ON CONFLICT DO NOTHING;
    RETURN (SELECT value FROM kept WHERE left(name, 255) = left(called, 255) AND name = called);
END
$body$;

-- Workers hear what they were told: what follows is as it was in 0008, but for that.

DROP FUNCTION "$schema".heartbeat(text, json, bigint, bigint);
DROP FUNCTION "$schema".orders(text, bigint);

-- Record what running attempts report, renew the lease, and give the claims that are asked to stop.
CREATE FUNCTION "$schema".heartbeat(
    worker_id text, reports json, lease bigint, instant bigint, OUT alive boolean, OUT asked text, OUT command text
) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    at bigint := present(instant);
    one record;
BEGIN
    FOR one IN
        SELECT * FROM ROWS FROM (json_to_recordset(reports) AS (
            ref bigint, fence bigint, progress double precision, message text, checkpoint text
        )) WITH ORDINALITY AS r (ref, fence, progress, message, checkpoint, place)
        ORDER BY ref, place
    LOOP
        UPDATE jobs SET
            progress = coalesce(one.progress, progress), message = coalesce(one.message, message),
            checkpoint = coalesce(one.checkpoint, checkpoint), updated_at = at
        WHERE ref = one.ref AND fence = one.fence AND state = $processing;
    END LOOP;
    IF lease IS NOT NULL THEN
        UPDATE workers SET seen_at = at, lease_until = at + lease
        WHERE left(id, 255) = left(worker_id, 255) AND id = worker_id AND NOT gone AND NOT lapsed AND lease_until > at;
    END IF;
    SELECT o.alive, o.asked, o.command INTO alive, asked, command FROM orders(worker_id, at) AS o;
END
$body$;

-- Whether the worker is alive, which of its claims are asked to stop, and what it was told. Changes nothing.
CREATE FUNCTION "$schema".orders(
    worker_id text, instant bigint, OUT alive boolean, OUT asked text, OUT command text
) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    holder bigint;
BEGIN
    SELECT ref, NOT gone AND NOT lapsed AND lease_until > present(instant), CASE WHEN NOT gone THEN command END
    INTO holder, alive, command
    FROM workers WHERE left(id, 255) = left(worker_id, 255) AND id = worker_id;
    alive := coalesce(alive, false);
    SELECT json_agg(json_build_array(ref, fence) ORDER BY ref)::text INTO asked
    FROM jobs WHERE worker = holder AND state = $processing AND cancelling IS NOT NULL;
END
$body$;

-- Have everything that waits for what the new jobs extend wait for these as well, from the instant at which they were
-- made.
CREATE OR REPLACE FUNCTION "$schema".extend(given json, made text[]) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM FROM jobs WHERE id = ANY (ARRAY(
        SELECT child FROM edges WHERE parent = ANY (ARRAY(
            SELECT DISTINCT job ->> 'extends' FROM json_array_elements(given) AS job
        ))
    )) ORDER BY ref FOR NO KEY UPDATE;
    WITH linked AS MATERIALIZED (
        SELECT e.policy, e.child, asked.job ->> 'id' AS parent, asked.ordinality
        FROM json_array_elements(given) WITH ORDINALITY AS asked (job, ordinality)
        CROSS JOIN LATERAL (SELECT policy, child FROM edges WHERE edges.parent = asked.job ->> 'extends' OFFSET 0) AS e
        WHERE (asked.job ->> 'id' IN (SELECT unnest(made))) IS TRUE
    ), put AS (
        INSERT INTO edges (policy, parent, child) SELECT policy, parent, child FROM linked ON CONFLICT DO NOTHING
    )
    UPDATE jobs SET
        parents = coalesce(left(jobs.parents, -1) || ',', '[') || more.parents || ']',
        updated_at = (SELECT created_at FROM jobs AS born WHERE born.id = more.parent)
    FROM (
        SELECT child, min(parent) AS parent, string_agg(to_json(parent)::text, ',' ORDER BY ordinality) AS parents
        FROM linked GROUP BY child
    ) AS more
    WHERE jobs.id = more.child;
END
$body$;

-- Draw the consequences of jobs that ended well, ended badly, or are gone, and of these until nothing more ends by it.
-- `born`: new jobs, or ones that were put back, that go on if they wait for nothing. Gives the keys of limits of jobs
-- that are queued by it, and these jobs in order.
CREATE OR REPLACE FUNCTION "$schema".conclude(
    well text[], badly text[], gone text[], born text[], at bigint, OUT keys text[], OUT arrived text[]
) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
DECLARE
    children text[];
    failing text[];
    released record;
BEGIN
    keys := '{}';
    arrived := '{}';
    LOOP
        EXIT WHEN cardinality(well) + cardinality(badly) + cardinality(gone) + cardinality(born) = 0;
        IF cardinality(badly) + cardinality(gone) > 0 THEN
            badly := badly || cancel_heirs(badly, gone, at);
        END IF;
        children := ARRAY(SELECT DISTINCT child FROM edges WHERE parent = ANY (well || badly || gone));
        IF cardinality(children) > 0 THEN
            PERFORM FROM jobs WHERE id = ANY (children) ORDER BY ref FOR NO KEY UPDATE;
            WITH parted AS (DELETE FROM edges WHERE parent = ANY (well) RETURNING child)
            SELECT array_agg(DISTINCT child) INTO children FROM parted;
            WITH parted AS (DELETE FROM edges WHERE parent = ANY (badly || gone) AND policy <> 2 RETURNING child)
            SELECT array_agg(DISTINCT child) INTO failing FROM parted;
            UPDATE jobs SET parent_failed = true, updated_at = at WHERE id = ANY (failing) AND NOT parent_failed;
            children := children || failing;
        END IF;
        SELECT * INTO released FROM release(born || children, at);
        IF cardinality(children) > cardinality(released.arrived) + cardinality(released.cancelled) THEN
            -- Who waits still waits for less.
            UPDATE jobs SET updated_at = at
            WHERE id = ANY (children) AND state + 0 = $waiting AND updated_at <> at;
        END IF;
        keys := keys || released.keys;
        arrived := arrived || released.arrived;
        well := '{}';
        badly := released.cancelled;
        gone := '{}';
        born := '{}';
    END LOOP;
END
$body$;

-- Of these ids, those whose jobs are not as they were when they were seen, and those that are nobody's.
CREATE FUNCTION "$schema".changed(ids text[], instants bigint[])
RETURNS TABLE (asked text, present "$schema".jobs) LANGUAGE plpgsql STABLE
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
BEGIN
    RETURN QUERY
        SELECT one.id, job FROM unnest(ids, instants) AS one (id, seen_at) LEFT JOIN jobs AS job ON job.id = one.id
        WHERE job.updated_at IS DISTINCT FROM one.seen_at;
END
$body$;

-- The first in line: of those that claims look at, and of those that wait behind their limits. Both stand in the order of
-- an index already; to sort would be to read them all.
CREATE FUNCTION "$schema".front(wanted text, most bigint) RETURNS TABLE (id text) LANGUAGE plpgsql STABLE
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_sort = off
AS $body$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT id FROM (
            (
                SELECT id, - priority AS rank, turn, run_at, ref FROM jobs
                WHERE left(queue, 255) = left(wanted, 255) AND queue = wanted AND state = $queued AND NOT parked
                ORDER BY - priority, turn, run_at, ref LIMIT most
            )
            UNION ALL
            (
                SELECT id, - priority, turn, run_at, ref FROM jobs
                WHERE left(queue, 255) = left(wanted, 255) AND queue = wanted AND state = $queued AND parked
                ORDER BY - priority, turn, run_at, ref LIMIT most
            )
        ) AS first
        ORDER BY rank, turn, run_at, ref LIMIT most;
END
$body$;

-- How many rows the planner expects of a condition: by what the last ANALYZE saw, and how much the table grew since.
CREATE FUNCTION "$schema".expected(condition text) RETURNS bigint LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
AS $body$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) SELECT FROM jobs WHERE ' || condition INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END
$body$;

-- How many jobs there are, by state, in the order of the states' numbers. Unfinished ones are counted; so are finished
-- ones, unless more than `most` are expected: then that number stands for them.
CREATE FUNCTION "$schema".totals(most bigint, OUT counts bigint[], OUT estimated boolean) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET enable_seqscan = off SET jit = off
AS $body$
DECLARE
    finished bigint := expected('expires_at IS NOT NULL');
    failed bigint;
    cancelled bigint;
BEGIN
    estimated := finished > most;
    IF NOT estimated THEN
        finished := (SELECT count(*) FROM jobs WHERE expires_at IS NOT NULL);
    END IF;
    IF estimated AND expected('state IN ($failed, $cancelled)') > most THEN
        failed := expected('state = $failed');
        cancelled := expected('state = $cancelled');
    ELSE
        SELECT count(*) FILTER (WHERE state = $failed), count(*) FILTER (WHERE state = $cancelled)
        INTO failed, cancelled FROM jobs WHERE state IN ($failed, $cancelled);
    END IF;
    -- Each of the others by the index that holds only its jobs.
    counts := ARRAY[
        (SELECT count(*) FROM jobs WHERE state = $waiting),
        (SELECT count(*) FROM jobs WHERE state = $scheduled),
        (SELECT count(*) FROM jobs WHERE state = $queued AND NOT parked)
            + (SELECT count(*) FROM jobs WHERE state = $queued AND parked),
        (SELECT count(*) FROM jobs WHERE state = $processing),
        greatest(0, finished - failed - cancelled), failed, cancelled
    ];
END
$body$;

UPDATE "$schema".meta SET value = '11' WHERE name = 'schema';
