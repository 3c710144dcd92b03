-- Jobs that wait for others, and what the end of a job means to those that wait for it.
-- Whoever looks whether a job still waits for anything has locked that job before: of two parents that end at once, the
-- second sees that the first has ended. Nothing here is asked for a job that nobody awaits.

-- Of these jobs, those that are processing, and go on to be open for whoever waits for them until this transaction ends:
-- their end has consequences only after it. The jobs themselves are not locked, a worker may report on them.
CREATE FUNCTION "$schema".being_extended(ids text[]) RETURNS text[] LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM FROM edges WHERE parent = ANY (ids) ORDER BY parent, child FOR KEY SHARE;
    RETURN ARRAY(SELECT id FROM jobs WHERE id = ANY (ids) AND state + 0 = $processing);
END
$body$;

-- Have everything that waits for what the new jobs extend wait for these as well.
CREATE FUNCTION "$schema".extend(given json, made text[]) RETURNS void LANGUAGE plpgsql AS $body$
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
    UPDATE jobs SET parents = coalesce(left(jobs.parents, -1) || ',', '[') || more.parents || ']'
    FROM (
        SELECT child, string_agg(to_json(parent)::text, ',' ORDER BY ordinality) AS parents FROM linked GROUP BY child
    ) AS more
    WHERE jobs.id = more.child;
END
$body$;

-- Have new jobs wait for all their parents that exist. Gives those of these that have ended, the new jobs that have to
-- find out whether they wait for anything, and the parents that were there before and might yet end.
CREATE FUNCTION "$schema".link_new(
    given json, made text[], OUT well text[], OUT badly text[], OUT born text[], OUT outside text[]
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT fresh.id AS child, fresh.ref, job -> 'parents' AS parents, policy_code(job ->> 'on_parent_failure') AS policy
        FROM json_array_elements(given) AS job
        CROSS JOIN LATERAL (SELECT id, ref FROM jobs WHERE jobs.id = job ->> 'id' LIMIT 1) AS fresh
        WHERE (job -> 'parents')::text <> '[]' AND (job ->> 'id' IN (SELECT unnest(made))) IS TRUE
    ), pairs AS MATERIALIZED (
        SELECT asked.child, asked.policy, job.id AS parent, job.state
        FROM asked CROSS JOIN LATERAL json_array_elements_text(asked.parents) AS p (parent)
        CROSS JOIN LATERAL (SELECT id, ref, state FROM jobs WHERE jobs.id = p.parent LIMIT 1) AS job
        WHERE job.ref < asked.ref  -- those that stand behind it in the call are nobody's parents yet
    ), linked AS (
        INSERT INTO edges (policy, parent, child) SELECT policy, parent, child FROM pairs ON CONFLICT DO NOTHING
    ), known AS MATERIALIZED (
        SELECT id, state, (id IN (SELECT unnest(made))) IS NOT TRUE AS before
        FROM (SELECT DISTINCT parent AS id, state FROM pairs) AS p
    )
    SELECT
        coalesce(array_agg(id) FILTER (WHERE state = $completed), '{}'),
        coalesce(array_agg(id) FILTER (WHERE state IN ($failed, $cancelled)), '{}'),
        ARRAY(SELECT child FROM asked),
        coalesce(array_agg(id) FILTER (WHERE before AND state <> $completed), '{}')
    INTO well, badly, born, outside FROM known;
END
$body$;

CREATE FUNCTION "$schema".policy_code(policy text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $body$
    SELECT CASE policy WHEN 'run' THEN 1 WHEN 'hold' THEN 2 WHEN 'only' THEN 3 ELSE 0 END::smallint
$body$;

-- Draw the consequences of jobs that ended well, ended badly, or are gone, and of these until nothing more ends by it.
-- `born`: new jobs, or ones that were put back, that go on if they wait for nothing. Gives the keys of limits of jobs
-- that are queued by it, and these jobs in order.
CREATE FUNCTION "$schema".conclude(
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
            UPDATE jobs SET parent_failed = true WHERE id = ANY (failing) AND NOT parent_failed;
        END IF;
        SELECT * INTO released FROM release(born || children || failing, at);
        keys := keys || released.keys;
        arrived := arrived || released.arrived;
        well := '{}';
        badly := released.cancelled;
        gone := '{}';
        born := '{}';
        failing := '{}';
    END LOOP;
END
$body$;

-- Cancel everything that is cancelled by a parent's bad end, down to the last; gives the jobs.
CREATE FUNCTION "$schema".cancel_heirs(badly text[], gone text[], at bigint) RETURNS text[] LANGUAGE plpgsql AS $body$
DECLARE
    doomed text[] := heirs_of(badly, gone);
BEGIN
    IF cardinality(doomed) = 0 THEN
        RETURN doomed;
    END IF;
    PERFORM FROM jobs WHERE id = ANY (doomed) ORDER BY ref FOR NO KEY UPDATE;
    doomed := heirs_of(badly, gone);  -- some may have ended meanwhile
    UPDATE jobs SET
        state = $cancelled, error = 'a job that this one waited for did not complete',
        finished_at = at, expires_at = at + keep_for, updated_at = at
    WHERE id = ANY (doomed) AND state + 0 = $waiting;
    DELETE FROM edges WHERE child = ANY (doomed);
    RETURN doomed;
END
$body$;

CREATE FUNCTION "$schema".heirs_of(badly text[], gone text[]) RETURNS text[] LANGUAGE plpgsql AS $body$
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE heirs (id) AS (
            SELECT child FROM (
                SELECT child FROM edges WHERE parent = ANY (badly) AND policy = 0
                UNION ALL
                SELECT child FROM edges WHERE parent = ANY (gone) AND policy IN (0, 2)
            ) AS first
            UNION
            SELECT edges.child FROM heirs JOIN edges ON edges.parent = heirs.id WHERE edges.policy = 0
        )
        SELECT id FROM heirs
    );
END
$body$;

-- Let those of the jobs go on that wait for nothing any more.
CREATE FUNCTION "$schema".release(
    children text[], at bigint, OUT keys text[], OUT arrived text[], OUT cancelled text[]
) LANGUAGE plpgsql AS $body$
BEGIN
    WITH released AS (
        UPDATE jobs SET
            state = CASE
                WHEN on_parent_failure = 'only' AND NOT parent_failed THEN $cancelled
                WHEN run_at > at THEN $scheduled
                ELSE $queued
            END,
            error = CASE
                WHEN on_parent_failure = 'only' AND NOT parent_failed
                THEN 'not needed: every job that this one waited for completed'
                ELSE error
            END,
            finished_at = CASE WHEN on_parent_failure = 'only' AND NOT parent_failed THEN at END,
            expires_at = CASE WHEN on_parent_failure = 'only' AND NOT parent_failed THEN at + keep_for END,
            turn = 0, party = NULL, parked = limit_key IS NOT NULL, updated_at = at
        WHERE id = ANY (children) AND state + 0 = $waiting AND NOT EXISTS (SELECT FROM edges WHERE child = jobs.id)
        RETURNING id, ref, state, limit_key
    )
    SELECT
        coalesce(array_agg(limit_key) FILTER (WHERE state = $queued AND limit_key IS NOT NULL), '{}'),
        coalesce(array_agg(id ORDER BY ref) FILTER (WHERE state = $queued), '{}'),
        coalesce(array_agg(id) FILTER (WHERE state = $cancelled), '{}')
    INTO keys, arrived, cancelled FROM released;
END
$body$;

-- Have jobs that a person retried wait for those of their parents that are unfinished.
CREATE FUNCTION "$schema".rejoin(ids text[], at bigint) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    older text[];
BEGIN
    older := ARRAY(
        SELECT DISTINCT p.parent
        FROM jobs CROSS JOIN LATERAL json_array_elements_text(parents::json) AS p (parent)
        WHERE id = ANY (ids) AND parents IS NOT NULL
    );
    IF cardinality(older) = 0 THEN
        RETURN;
    END IF;
    PERFORM FROM jobs WHERE id = ANY (older) ORDER BY ref FOR NO KEY UPDATE;
    WITH pairs AS MATERIALIZED (
        SELECT DISTINCT jobs.id AS child, policy_code(jobs.on_parent_failure) AS policy, older.id AS parent, older.state
        FROM jobs
        CROSS JOIN LATERAL json_array_elements_text(parents::json) AS p (parent)
        CROSS JOIN LATERAL (SELECT id, state FROM jobs AS found WHERE found.id = p.parent LIMIT 1) AS older
        WHERE jobs.id = ANY (ids) AND jobs.parents IS NOT NULL AND older.id <> jobs.id
    ), linked AS (
        INSERT INTO edges (policy, parent, child)
        SELECT policy, parent, child FROM pairs WHERE state IN ($waiting, $scheduled, $queued, $processing)
        ON CONFLICT DO NOTHING
    ), told AS (
        SELECT child, bool_or(state IN ($failed, $cancelled)) AS failed,
            bool_or(state IN ($waiting, $scheduled, $queued, $processing)) AS waits
        FROM pairs GROUP BY child
    )
    UPDATE jobs SET
        parent_failed = coalesce(told.failed, false),
        state = CASE WHEN told.waits THEN $waiting ELSE jobs.state END
    FROM unnest(ids) AS one (id) LEFT JOIN told ON told.child = one.id
    WHERE jobs.id = one.id AND jobs.parents IS NOT NULL;
    UPDATE jobs SET awaited = true
    WHERE id = ANY (older) AND NOT awaited AND state + 0 IN ($waiting, $scheduled, $queued, $processing);
END
$body$;

-- Have waiting jobs that were put back wait for their open parents, and finished ones have their consequences.
-- `waits`: pairs of a job and the JSON array of its open parents.
CREATE FUNCTION "$schema".take_back(made text[], waits json, instant bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
DECLARE
    at CONSTANT bigint := present(instant);
    linked text[];
    older text[];
    ended record;
    done record;
    keys text[];
BEGIN
    WITH put AS (
        INSERT INTO edges (policy, parent, child)
        SELECT DISTINCT policy_code(job.on_parent_failure), p.parent, job.id
        FROM json_array_elements(waits) AS pair
        CROSS JOIN LATERAL (
            SELECT id, on_parent_failure FROM jobs WHERE id = pair ->> 0 AND state + 0 = $waiting LIMIT 1
        ) AS job
        CROSS JOIN LATERAL json_array_elements_text((pair ->> 1)::json) AS p (parent)
        WHERE job.id = ANY (made)
        ON CONFLICT DO NOTHING RETURNING parent, child
    )
    SELECT array_agg(DISTINCT parent), coalesce(array_agg(DISTINCT child), '{}') INTO older, linked FROM put;
    PERFORM FROM jobs WHERE id = ANY (older) ORDER BY ref FOR NO KEY UPDATE;
    UPDATE jobs SET awaited = true
    WHERE id = ANY (made || older) AND NOT awaited AND EXISTS (SELECT FROM edges WHERE parent = jobs.id);
    SELECT
        coalesce(array_agg(id) FILTER (WHERE state = $completed), '{}') AS well,
        coalesce(array_agg(id) FILTER (WHERE state IN ($failed, $cancelled)), '{}') AS badly
    INTO ended FROM jobs WHERE id = ANY (made || older) AND awaited;
    PERFORM give_turns(ARRAY(SELECT id FROM jobs WHERE id = ANY (made) AND state + 0 = $queued ORDER BY ref));
    SELECT * INTO done FROM conclude(ended.well, ended.badly, '{}', '{}', at);
    PERFORM give_turns(done.arrived);
    keys := ARRAY(SELECT DISTINCT limit_key FROM jobs WHERE id = ANY (made) AND limit_key IS NOT NULL);
    PERFORM put_limits((SELECT json_agg(json_build_object('touched', key)) FROM unnest(keys) AS key));
    PERFORM readmit(keys || done.keys, at);
END
$body$;

UPDATE "$schema".meta SET value = '4' WHERE name = 'schema';
