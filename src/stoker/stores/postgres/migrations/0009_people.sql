-- What people do to jobs. The jobs are locked.

CREATE FUNCTION "$schema".cancel(ids text[], why text, instant bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    at CONSTANT bigint := present(instant);
    ends record;
BEGIN
    -- Room in a limit is changed by those alone that were queued.
    WITH before AS MATERIALIZED (
        SELECT limit_key FROM jobs WHERE id = ANY (ids) AND state + 0 = $queued AND limit_key IS NOT NULL
    ), changed AS (
        UPDATE jobs SET
            cancelling = CASE WHEN state = $processing THEN coalesce(why, '') END,
            error = CASE WHEN state = $processing THEN error ELSE why END,
            finished_at = CASE WHEN state = $processing THEN finished_at ELSE at END,
            expires_at = CASE WHEN state = $processing THEN expires_at ELSE at + keep_for END,
            state = CASE WHEN state = $processing THEN state ELSE $cancelled END,
            updated_at = at
        WHERE id = ANY (ids)
        RETURNING id, state, awaited, parents
    )
    SELECT
        coalesce(array_agg(id) FILTER (WHERE state = $cancelled AND awaited), '{}') AS badly,
        coalesce(array_agg(id) FILTER (WHERE state = $cancelled AND parents IS NOT NULL), '{}') AS children,
        (SELECT coalesce(array_agg(limit_key), '{}') FROM before) AS keys
    INTO ends FROM changed;
    DELETE FROM edges WHERE child = ANY (ends.children);
    PERFORM follow('{}', ends.badly, '{}', ends.keys, '{}', at);
    PERFORM wake(at);
END
$body$;

-- Queue failed and cancelled jobs again; of jobs with one key the first gets it. Gives how many were queued.
CREATE FUNCTION "$schema".retry(ids text[], instant bigint) RETURNS bigint LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    at bigint := present(instant);
    keyed text[];
    again text[];
    one text;
BEGIN
    PERFORM wake(at);
    keyed := ARRAY(SELECT id FROM jobs WHERE id = ANY (ids) AND key IS NOT NULL ORDER BY ref);
    again := queue_again(ARRAY(SELECT unnest(ids) EXCEPT SELECT unnest(keyed)), at);
    FOREACH one IN ARRAY keyed LOOP
        BEGIN
            again := again || queue_again(ARRAY[one], at);
        EXCEPTION WHEN unique_violation THEN
            CONTINUE;
        END;
    END LOOP;
    PERFORM give_turns(ARRAY(SELECT id FROM jobs WHERE id = ANY (again) ORDER BY ref));
    PERFORM rejoin(again, at);
    PERFORM readmit(ARRAY(
        SELECT DISTINCT limit_key FROM jobs WHERE id = ANY (again) AND state + 0 = $queued AND limit_key IS NOT NULL
    ), at);
    RETURN cardinality(again);
END
$body$;

CREATE FUNCTION "$schema".queue_again(ids text[], at bigint) RETURNS text[] LANGUAGE plpgsql AS $body$
DECLARE
    queued text[];
BEGIN
    WITH changed AS (
        UPDATE jobs SET
            state = $queued, run_at = at, updated_at = at, finished_at = NULL, expires_at = NULL,
            turn = 0, party = NULL, parked = limit_key IS NOT NULL,
            max_attempts = greatest(max_attempts, attempt - crashes + 1),
            max_crashes = greatest(max_crashes, crashes + 1)
        WHERE id = ANY (ids) AND state + 0 IN ($failed, $cancelled)
        RETURNING id
    )
    SELECT coalesce(array_agg(id), '{}') INTO queued FROM changed;
    RETURN queued;
END
$body$;

CREATE FUNCTION "$schema".requeue(refs bigint[], instant bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
AS $body$
DECLARE
    at CONSTANT bigint := present(instant);
    ends record;
BEGIN
    SELECT * INTO ends FROM end_alike(refs, 'crashed', at, false);
    PERFORM follow(ends.well, ends.badly, '{}', ends.keys, ends.arrived, at);
    PERFORM wake(at);
END
$body$;

CREATE FUNCTION "$schema".prioritise(ids text[], wanted smallint, instant bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    at CONSTANT bigint := present(instant);
    keys text[];
BEGIN
    WITH changed AS (
        UPDATE jobs SET priority = wanted, updated_at = at WHERE id = ANY (ids) RETURNING limit_key, state
    )
    SELECT array_agg(limit_key) FILTER (WHERE state = $queued AND limit_key IS NOT NULL) INTO keys FROM changed;
    PERFORM readmit(keys, at);
END
$body$;

CREATE FUNCTION "$schema".delete_jobs(ids text[], instant bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    at CONSTANT bigint := present(instant);
    dropped record;
BEGIN
    SELECT * INTO dropped FROM drop_jobs(ARRAY(SELECT ctid FROM jobs WHERE id = ANY (ids)));
    DELETE FROM edges WHERE child = ANY (ids);
    PERFORM follow('{}', '{}', dropped.gone, dropped.keys, '{}', at);
    PERFORM wake(at);
END
$body$;

UPDATE "$schema".meta SET value = '9' WHERE name = 'schema';
