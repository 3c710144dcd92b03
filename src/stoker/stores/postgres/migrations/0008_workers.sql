-- The lives of workers, and what is forgotten.

-- Record what running attempts report, renew the lease, and give the claims that are asked to stop.
CREATE FUNCTION "$schema".heartbeat(
    worker_id text, reports json, lease bigint, instant bigint, OUT alive boolean, OUT asked text
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
    SELECT o.alive, o.asked INTO alive, asked FROM orders(worker_id, at) AS o;
END
$body$;

-- Whether the worker is alive, and which of its claims are asked to stop. Changes nothing.
CREATE FUNCTION "$schema".orders(worker_id text, instant bigint, OUT alive boolean, OUT asked text) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    holder bigint;
BEGIN
    SELECT ref, NOT gone AND NOT lapsed AND lease_until > present(instant) INTO holder, alive
    FROM workers WHERE left(id, 255) = left(worker_id, 255) AND id = worker_id;
    alive := coalesce(alive, false);
    SELECT json_agg(json_build_array(ref, fence) ORDER BY ref)::text INTO asked
    FROM jobs WHERE worker = holder AND state = $processing AND cancelling IS NOT NULL;
END
$body$;

-- Take the claims from workers that are not alive.
CREATE FUNCTION "$schema".recover(most bigint, instant bigint, OUT queued bigint, OUT failed bigint) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    at bigint := present(instant);
    lost bigint[];
    ends record;
BEGIN
    -- Waits for a renewal that is under way, and lets none come after.
    UPDATE workers SET lapsed = true, asleep = false WHERE NOT gone AND NOT lapsed AND lease_until <= at;
    lost := ARRAY(
        SELECT ref FROM jobs
        WHERE state = $processing
        AND (worker IS NULL OR worker <> ALL (ARRAY(SELECT ref FROM workers WHERE NOT gone AND NOT lapsed)))
        ORDER BY ref LIMIT most FOR NO KEY UPDATE SKIP LOCKED
    );
    queued := 0;
    failed := 0;
    IF cardinality(lost) > 0 THEN
        SELECT * INTO ends FROM end_alike(lost, 'crashed', at);
        queued := ends.queued;
        failed := ends.failed;
        PERFORM follow(ends.well, ends.badly, '{}', ends.keys, ends.arrived, at);
        PERFORM wake(at);
    END IF;
    UPDATE workers SET gone = true
    WHERE NOT gone AND lapsed AND NOT EXISTS (SELECT FROM jobs WHERE worker = workers.ref AND state = $processing);
END
$body$;

-- Delete finished jobs whose retention is over, but not while their workflow is under way; what guards and locks are no
-- more; and the names of workers that nobody needs.
CREATE FUNCTION "$schema".prune(most bigint, remembered bigint, instant bigint) RETURNS bigint LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
#variable_conflict use_column
DECLARE
    at bigint := present(instant);
    places tid[];
    dropped record;
BEGIN
    places := ARRAY(
        SELECT ctid FROM jobs
        WHERE expires_at <= at AND (workflow IS NULL OR NOT under_way(workflow))
        ORDER BY expires_at, ref LIMIT most FOR UPDATE SKIP LOCKED
    );
    IF cardinality(places) > 0 THEN
        SELECT * INTO dropped FROM drop_jobs(places);
        PERFORM follow('{}', '{}', dropped.gone, '{}', '{}', at);
    END IF;
    DELETE FROM guards WHERE until <= at AND NOT EXISTS (
        SELECT FROM jobs WHERE id = guards.job AND state + 0 IN ($scheduled, $queued) AND attempt = 0
    );
    DELETE FROM locks WHERE until <= at;
    DELETE FROM workers WHERE gone AND seen_at <= at - remembered;
    RETURN cardinality(places);
END
$body$;

-- Whether a job of the workflow is unfinished.
CREATE FUNCTION "$schema".under_way(flow text) RETURNS boolean LANGUAGE plpgsql STABLE AS $body$
BEGIN
    RETURN EXISTS (
        SELECT FROM jobs
        WHERE workflow IS NOT NULL AND left(workflow, 255) = left(flow, 255) AND state <= $processing AND workflow = flow
    );
END
$body$;

UPDATE "$schema".meta SET value = '8' WHERE name = 'schema';
