-- The ends of attempts, and how jobs come to be queued again.

-- Record outcomes of any kind; gives the refs of those whose claims are not held, in order. `next` is where an
-- outcome leads; the rest follows from it, but for what it means to other jobs: for this, gives the awaited jobs that
-- ended well or badly, the keys of limits, and the jobs that are queued, in order.
CREATE FUNCTION "$schema".settle(
    outcomes json, at bigint, capped boolean DEFAULT true,
    OUT refused bigint[], OUT queued bigint, OUT failed bigint,
    OUT well text[], OUT badly text[], OUT keys text[], OUT arrived text[]
) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
BEGIN
    PERFORM FROM jobs
    WHERE ref = ANY (ARRAY(SELECT o.ref FROM json_to_recordset(outcomes) AS o (ref bigint))) AND state = $processing
    ORDER BY ref FOR NO KEY UPDATE;
    WITH said AS MATERIALIZED (
        SELECT * FROM ROWS FROM (json_to_recordset(outcomes) AS (
            ref bigint, fence bigint, verdict text, delay bigint, result text, progress double precision, message text,
            checkpoint text, reason text, entry text, error text
        )) WITH ORDINALITY AS o (
            ref, fence, verdict, delay, result, progress, message, checkpoint, reason, entry, error, place
        )
    ), held AS (
        -- Of two outcomes of one claim the second comes too late.
        SELECT DISTINCT ON (job.ref) said.*,
            job.cancelling IS NOT NULL AS asked, job.crashes + 1 >= job.max_crashes AS finally,
            'the process that ran this job died or lost its lease, '
                || CASE WHEN job.crashes = 0 THEN 'once' ELSE job.crashes + 1 || ' times' END AS crash
        FROM said CROSS JOIN LATERAL (
            SELECT * FROM jobs WHERE jobs.ref = said.ref AND fence = said.fence AND state = $processing
        ) AS job
        ORDER BY job.ref, said.place
    ), led AS (
        SELECT *,
            CASE
                WHEN verdict = 'completed' THEN $completed
                WHEN verdict = 'failed' THEN $failed
                WHEN verdict = 'cancelled' OR asked THEN $cancelled
                WHEN verdict = 'crashed' THEN CASE WHEN capped AND finally THEN $failed ELSE $queued END
                WHEN verdict <> 'released' AND delay > 0 THEN $scheduled
                ELSE $queued
            END AS next
        FROM held
    ), followed AS MATERIALIZED (
        SELECT *,
            next IN ($completed, $failed, $cancelled) AS finished,
            verdict = 'crashed' AND next = $failed AS crashed
        FROM led
    ), changed AS (
        UPDATE jobs SET
            state = o.next,
            attempt = attempt - (o.verdict IN ('snoozed', 'released'))::integer,
            crashes = crashes + (o.verdict = 'crashed')::integer,
            run_at = CASE WHEN o.verdict IN ('retry', 'snoozed') THEN at + coalesce(o.delay, 0) ELSE run_at END,
            result = CASE WHEN o.next = $completed THEN o.result ELSE jobs.result END,
            progress = coalesce(o.progress, jobs.progress),
            message = coalesce(o.message, jobs.message),
            checkpoint = coalesce(o.checkpoint, jobs.checkpoint),
            errors = CASE
                WHEN o.crashed THEN appended(errors, blamed(json_build_object(
                    'attempt', attempt, 'type', 'crashed', 'message', o.crash)::text, worker, at))
                WHEN o.entry IS NOT NULL THEN appended(errors, blamed(o.entry, worker, at))
                ELSE errors
            END,
            error = CASE
                WHEN o.crashed THEN 'crashed: ' || o.crash
                WHEN o.next = $completed THEN NULL
                WHEN o.next = $cancelled THEN coalesce(
                    CASE WHEN o.verdict = 'cancelled' THEN nullif(o.reason, '') END, nullif(cancelling, ''))
                ELSE coalesce(o.error, jobs.error)
            END,
            cancelling = CASE WHEN NOT o.finished THEN cancelling END,
            turn = 0, party = NULL, parked = limit_key IS NOT NULL,
            finished_at = CASE WHEN o.finished THEN at ELSE finished_at END,
            expires_at = CASE WHEN o.finished THEN at + keep_for ELSE expires_at END,
            updated_at = at
        FROM followed AS o WHERE jobs.ref = o.ref AND jobs.state = $processing
        RETURNING o.place, o.next, id, awaited, limit_key
    )
    SELECT
        (SELECT array_agg(ref ORDER BY place) FROM said WHERE place NOT IN (SELECT place FROM changed)),
        count(*) FILTER (WHERE next = $queued), count(*) FILTER (WHERE next = $failed),
        coalesce(array_agg(id) FILTER (WHERE awaited AND next = $completed), '{}'),
        coalesce(array_agg(id) FILTER (WHERE awaited AND next IN ($failed, $cancelled)), '{}'),
        coalesce(array_agg(limit_key) FILTER (WHERE limit_key IS NOT NULL), '{}'),
        coalesce(array_agg(id ORDER BY place) FILTER (WHERE next = $queued), '{}')
    INTO refused, queued, failed, well, badly, keys, arrived FROM changed;
END
$body$;

-- An entry of a job's history with the worker and the instant filled in.
CREATE FUNCTION "$schema".blamed(entry text, worker_ref bigint, at bigint) RETURNS text LANGUAGE plpgsql
SET search_path = "$schema", pg_temp AS $body$
DECLARE
    name text := (SELECT id FROM workers WHERE ref = worker_ref);
BEGIN
    RETURN left(entry, -1) || coalesce(',"worker":' || to_json(name)::text, '') || ',"at":' || at || '}';
END
$body$;

CREATE FUNCTION "$schema".appended(errors text, entry text) RETURNS text LANGUAGE sql IMMUTABLE AS $body$
    SELECT CASE WHEN errors IS NULL THEN '[' || entry || ']' ELSE left(errors, -1) || ',' || entry || ']' END
$body$;

-- End claims that are held now, all with one verdict; gives what `settle` gives.
CREATE FUNCTION "$schema".end_alike(
    refs bigint[], verdict text, at bigint, capped boolean DEFAULT true, OUT queued bigint, OUT failed bigint,
    OUT well text[], OUT badly text[], OUT keys text[], OUT arrived text[]
) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    outcomes json;
BEGIN
    queued := 0;
    failed := 0;
    SELECT json_agg(json_build_object('ref', held.ref, 'fence', held.fence, 'verdict', verdict)) INTO outcomes
    FROM (
        SELECT ref, fence FROM jobs WHERE ref = ANY (refs) AND state = $processing ORDER BY ref FOR NO KEY UPDATE
    ) AS held;
    IF outcomes IS NOT NULL THEN
        SELECT s.queued, s.failed, s.well, s.badly, s.keys, s.arrived
        INTO queued, failed, well, badly, keys, arrived FROM settle(outcomes, at, capped) AS s;
    END IF;
END
$body$;

-- What ends and arrivals mean to other jobs.
CREATE FUNCTION "$schema".follow(
    well text[], badly text[], gone text[], keys text[], arrived text[], at bigint
) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
DECLARE
    done record;
BEGIN
    IF cardinality(well) + cardinality(badly) + cardinality(gone) > 0 THEN
        SELECT * INTO done FROM conclude(well, badly, gone, '{}', at);
        keys := keys || done.keys;
        arrived := arrived || done.arrived;
    END IF;
    PERFORM give_turns(arrived);
    PERFORM readmit(keys, at);
END
$body$;

-- Scheduled jobs that are due are queued; gives the instant at which the next is, the keys of limits, and the jobs.
CREATE FUNCTION "$schema".promote(at bigint, OUT due bigint, OUT keys text[], OUT arrived text[]) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp AS $body$
BEGIN
    SELECT r.keys, r.arrived INTO keys, arrived FROM make_ready(ARRAY(
        SELECT ctid FROM jobs WHERE state = $scheduled AND run_at <= at ORDER BY run_at LIMIT 20000
        FOR NO KEY UPDATE SKIP LOCKED
    ), at) AS r;
    SELECT min(run_at) INTO due FROM jobs WHERE state = $scheduled;
END
$body$;

-- The functions that follow change locked rows where they stand. No other way to find a row is left to their plans: one
-- that is made while the table is small would read all of it, and be kept while it grows.

CREATE FUNCTION "$schema".complete(places tid[], results text[], at bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    UPDATE jobs SET
        state = $completed, result = done.result, error = NULL, cancelling = NULL,
        finished_at = at, updated_at = at, expires_at = at + keep_for
    FROM unnest(places, results) AS done (place, result) WHERE jobs.ctid = done.place;
END
$body$;

CREATE FUNCTION "$schema".start(places tid[], holder bigint, at bigint, OUT taken text, OUT reached jsonb)
LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    WITH moved AS (
        UPDATE jobs
        SET state = $processing, fence = fence + 1, attempt = attempt + 1, worker = holder, started_at = at, updated_at = at
        WHERE ctid = ANY (places)
        RETURNING
            ref, fence, id, task, queue, payload, attempt, crashes, max_attempts, owner, checkpoint, overrides,
            - priority AS rank, turn, run_at
    )
    SELECT
        string_agg(json_build_array(
            ref, fence, id, task, queue, payload, attempt, crashes, max_attempts, owner, checkpoint, overrides
        )::text, ','),
        jsonb_build_array(
            (array_agg(rank))[count(*)], (array_agg(turn))[count(*)],
            (array_agg(run_at))[count(*)], (array_agg(ref))[count(*)]
        )
    INTO taken, reached
    FROM (SELECT * FROM moved ORDER BY rank, turn, run_at, ref) AS ordered;
END
$body$;

CREATE FUNCTION "$schema".make_ready(places tid[], at bigint, OUT keys text[], OUT arrived text[]) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    WITH moved AS (
        UPDATE jobs SET state = $queued, turn = 0, party = NULL, parked = limit_key IS NOT NULL, updated_at = at
        WHERE ctid = ANY (places)
        RETURNING id, run_at, ref, limit_key
    )
    SELECT array_agg(limit_key) FILTER (WHERE limit_key IS NOT NULL), array_agg(id ORDER BY run_at, ref)
    INTO keys, arrived FROM moved;
END
$body$;

CREATE FUNCTION "$schema".set_parked(places tid[], whether boolean) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    UPDATE jobs SET parked = whether WHERE ctid = ANY (places);
END
$body$;

-- Of these rows, those that are parked still and that nobody has a hand on; they are locked.
CREATE FUNCTION "$schema".still_parked(places tid[]) RETURNS tid[] LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    RETURN ARRAY(
        SELECT ctid FROM jobs WHERE ctid = ANY (places) AND state = $queued AND parked FOR NO KEY UPDATE SKIP LOCKED
    );
END
$body$;

-- Gives the awaited ones, and the keys of limits.
CREATE FUNCTION "$schema".drop_jobs(places tid[], OUT gone text[], OUT keys text[]) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    WITH dropped AS (DELETE FROM jobs WHERE ctid = ANY (places) RETURNING id, awaited, limit_key, state)
    SELECT
        coalesce(array_agg(id) FILTER (WHERE awaited), '{}'),
        coalesce(array_agg(limit_key) FILTER (WHERE limit_key IS NOT NULL AND state IN ($queued, $processing)), '{}')
    INTO gone, keys FROM dropped;
END
$body$;

UPDATE "$schema".meta SET value = '5' WHERE name = 'schema';
