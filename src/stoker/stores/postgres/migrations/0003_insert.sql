-- What a worker and an app ask for most, each in one round trip. Within a function every statement sees what was
-- committed before it began. Plans are made once and for any values (a plan for present values is one for a table that
-- is empty now and full in a minute), and never of scans and joins that read whole tables.
--
-- Where jobs are found by their ids, conditions on their state are written `state + 0`, which fits none of the indexes
-- that hold the jobs of a state: these look short in a plan that is made while there are none.
--
-- Whoever changes many jobs locks them in the order of their refs; then limits, in the order of their keys.
-- A row that is locked stays where it is (`ctid`) until the transaction changes it, so it is found again at no cost.

CREATE FUNCTION "$schema".present(given bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $body$
    SELECT coalesce(given, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
$body$;

-- Ring for workers that sleep; heard with the commit. Nobody asleep, nothing is sent: a NOTIFY has its commit wait for
-- the commits of all others that send one.
CREATE FUNCTION "$schema".wake(at bigint, but bigint DEFAULT 0) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp AS $body$
BEGIN
    IF EXISTS (SELECT FROM workers WHERE NOT gone AND asleep AND lease_until > at AND ref <> but) THEN
        PERFORM pg_notify('$schema', '');
    END IF;
END
$body$;

-- Make those jobs whose ids and keys are free; gives their ids. Those with parents wait, for what is said later; those
-- with a limit are parked until somebody looks for room. `awaiteds`: ids that are parents of others of the call.
CREATE FUNCTION "$schema".make_jobs(given json, awaiteds text[], at bigint) RETURNS text[] LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    made text[];
BEGIN
    WITH fresh AS (
        INSERT INTO jobs (
            id, task, queue, payload, state, priority, run_at, max_attempts, max_crashes, keep_for,
            created_at, updated_at, owner, key, tags, overrides, meta, parents, workflow, schedule,
            on_parent_failure, limit_key, share, parked, awaited
        )
        SELECT
            id, task, queue, payload,
            CASE WHEN parents::text <> '[]' THEN $waiting WHEN due > at THEN $scheduled ELSE $queued END,
            priority, due, max_attempts, max_crashes, keep_for,
            at, at, owner, key, nullif(tags::text, '[]'), overrides, meta, nullif(parents::text, '[]'), workflow, schedule,
            nullif(on_parent_failure, 'cancel'), "limit" ->> 'key', share, "limit" IS NOT NULL,
            awaiteds IS NOT NULL AND (extends IS NOT NULL OR id IN (SELECT unnest(awaiteds)))
        FROM (
            SELECT *, CASE
                WHEN guard IS NOT NULL AND (guard ->> 'last')::boolean THEN at + (guard ->> 'span')::bigint
                ELSE coalesce(run_at, at + delay)
            END AS due
            FROM ROWS FROM (json_to_recordset(given) AS (
                id text, task text, payload text, queue text, priority smallint, delay bigint, run_at bigint,
                max_attempts integer, max_crashes integer, keep_for bigint, owner text, key text, tags json,
                overrides text, meta text, parents json, workflow text, schedule text,
                on_parent_failure text, "limit" json, share text, guard json, extends text
            )) WITH ORDINALITY
        ) AS asked
        ORDER BY ordinality
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT array_agg(id) INTO made FROM fresh;
    RETURN made;
END
$body$;

-- Make jobs; gives the places (from 1) of those that were not made, and the jobs that are there instead. `related`:
-- some have parents, extend others, have a limit or a guard.
CREATE FUNCTION "$schema".insert_jobs(given json, related boolean, instant bigint DEFAULT NULL)
RETURNS TABLE (place bigint, holder text) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    at bigint := present(instant);
    made text[];
BEGIN
    IF related THEN
        RETURN QUERY SELECT r.place, r.holder FROM insert_related(given, at) AS r;
        RETURN;
    END IF;
    WITH fresh AS (
        INSERT INTO jobs (
            id, task, queue, payload, state, priority, run_at, max_attempts, max_crashes, keep_for,
            created_at, updated_at, owner, key, tags, overrides, meta, workflow, schedule, on_parent_failure, share
        )
        SELECT
            id, task, queue, payload, CASE WHEN coalesce(run_at, at + delay) > at THEN $scheduled ELSE $queued END,
            priority, coalesce(run_at, at + delay), max_attempts, max_crashes, keep_for,
            at, at, owner, key, nullif(tags::text, '[]'), overrides, meta, workflow, schedule,
            nullif(on_parent_failure, 'cancel'), share
        FROM ROWS FROM (json_to_recordset(given) AS (
            id text, task text, payload text, queue text, priority smallint, delay bigint, run_at bigint,
            max_attempts integer, max_crashes integer, keep_for bigint, owner text, key text, tags json,
            overrides text, meta text, workflow text, schedule text, on_parent_failure text, share text
        )) WITH ORDINALITY
        ORDER BY ordinality
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT array_agg(id) INTO made FROM fresh;
    IF made IS NOT NULL THEN
        PERFORM wake(at);
        IF EXISTS (SELECT FROM queues WHERE fair IS NOT NULL) THEN
            PERFORM welcome(made, at);
        END IF;
    END IF;
    IF coalesce(cardinality(made), 0) < json_array_length(given) THEN
        RETURN QUERY SELECT h.place, h.holder FROM holders_of(given, made, related, at) AS h;
    END IF;
END
$body$;

-- Give turns to new jobs that are queued in fair queues.
CREATE FUNCTION "$schema".welcome(made text[], at bigint) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT FROM queues WHERE fair IS NOT NULL) THEN
        PERFORM give_turns(ARRAY(SELECT id FROM jobs WHERE id = ANY (made) AND state + 0 = $queued ORDER BY ref));
    END IF;
END
$body$;

-- Of jobs that were not made: which others are there instead. One whose place is free by now is made after all.
CREATE FUNCTION "$schema".holders_of(given json, made text[], related boolean, at bigint)
RETURNS TABLE (place bigint, holder text) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    other text;
    one record;
BEGIN
    FOR one IN
        SELECT list.ordinality AS place, list.job ->> 'id' AS id, list.job ->> 'key' AS key, list.job
        FROM (
            SELECT job, ordinality, row_number() OVER (PARTITION BY job ->> 'id' ORDER BY ordinality) AS time
            FROM json_array_elements(given) WITH ORDINALITY AS asked (job, ordinality)
        ) AS list
        -- (As a condition that is not a join, a set is looked up by hash, however many there are.)
        WHERE (list.job ->> 'id' IN (SELECT unnest(made))) IS NOT TRUE OR list.time > 1  -- the same id is not new again
        ORDER BY list.ordinality
    LOOP
        SELECT id INTO other FROM jobs WHERE id = one.id;
        IF NOT FOUND THEN
            SELECT id INTO other FROM jobs
            WHERE left(key, 255) = left(one.key, 255) AND key = one.key AND key IS NOT NULL
            AND state IN ($waiting, $scheduled, $queued, $processing);
        END IF;
        IF NOT FOUND THEN  -- it has ended meanwhile, and the place is free
            SELECT again.holder INTO other FROM insert_jobs(json_build_array(one.job), related, at) AS again;
        END IF;
        IF FOUND THEN
            place := one.place;
            holder := other;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$body$;

-- Make jobs of which some have to do with others: those with a guard one by one, what stands between them at once.
CREATE FUNCTION "$schema".insert_related(given json, at bigint)
RETURNS TABLE (place bigint, holder text) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    part record;
    other text;
BEGIN
    FOR part IN
        SELECT min(ordinality) AS first, guarded, json_agg(job ORDER BY ordinality) AS jobs
        FROM (
            SELECT job, ordinality, guarded, 2 * count(*) FILTER (WHERE guarded) OVER (ORDER BY ordinality)
                - guarded::integer AS run
            FROM (
                SELECT job, ordinality, job ->> 'guard' IS NOT NULL AS guarded
                FROM json_array_elements(given) WITH ORDINALITY AS asked (job, ordinality)
            ) AS asked
        ) AS numbered
        GROUP BY run, guarded ORDER BY first
    LOOP
        IF part.guarded THEN
            other := insert_guarded(part.jobs -> 0, at);
            IF other IS NOT NULL THEN
                place := part.first;
                holder := other;
                RETURN NEXT;
            END IF;
        ELSE
            RETURN QUERY SELECT part.first - 1 + r.place, r.holder FROM insert_linked(part.jobs, at) AS r;
        END IF;
    END LOOP;
END
$body$;

-- Make jobs that may have parents, extend others, and have limits; of guards it only sees to the due time.
CREATE FUNCTION "$schema".insert_linked(given json, at bigint)
RETURNS TABLE (place bigint, holder text) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    others json := given;
    kept bigint[];
    going text[];
    made text[];
    linked record;
BEGIN
    SELECT array_agg(DISTINCT job ->> 'extends') INTO going FROM json_array_elements(given) AS job
    WHERE job ->> 'extends' IS NOT NULL;
    IF going IS NOT NULL THEN
        going := being_extended(going);
        RETURN QUERY
            SELECT ordinality, coalesce((SELECT id FROM jobs WHERE jobs.id = job ->> 'id'), '')
            FROM json_array_elements(given) WITH ORDINALITY AS asked (job, ordinality)
            WHERE job ->> 'extends' IS NOT NULL AND job ->> 'extends' <> ALL (going);
        SELECT json_agg(job ORDER BY ordinality), array_agg(ordinality ORDER BY ordinality) INTO others, kept
        FROM json_array_elements(given) WITH ORDINALITY AS asked (job, ordinality)
        WHERE job ->> 'extends' IS NULL OR job ->> 'extends' = ANY (going);
        IF others IS NULL THEN
            RETURN;
        END IF;
    END IF;
    made := make_jobs(others, ARRAY(
        SELECT DISTINCT json_array_elements_text(job -> 'parents') FROM json_array_elements(others) AS job
    ), at);
    IF made IS NOT NULL THEN
        PERFORM wake(at);
        IF going IS NOT NULL THEN
            PERFORM extend(others, made);
        END IF;
        SELECT * INTO linked FROM link_new(others, made);
        PERFORM conclude(linked.well, linked.badly, '{}', linked.born, at);
        PERFORM welcome(made, at);
        INSERT INTO inserted (at, parents, limits)
        SELECT at, linked.outside, limits FROM (
            SELECT coalesce(json_agg(told), '[]') AS limits FROM (
                SELECT DISTINCT ON (job -> 'limit' ->> 'key') job -> 'limit' AS told
                FROM json_array_elements(others) WITH ORDINALITY AS asked (job, ordinality)
                WHERE job ->> 'limit' IS NOT NULL AND (job ->> 'id' IN (SELECT unnest(made))) IS TRUE
                ORDER BY job -> 'limit' ->> 'key', ordinality DESC
            ) AS latest
        ) AS found WHERE cardinality(linked.outside) > 0 OR json_array_length(limits) > 0;
    END IF;
    IF coalesce(cardinality(made), 0) < json_array_length(others) THEN
        RETURN QUERY
            SELECT coalesce(kept[h.place], h.place), h.holder FROM holders_of(others, made, true, at) AS h;
    END IF;
END
$body$;

-- Make a job, unless another stands in its place; gives that one.
CREATE FUNCTION "$schema".insert_guarded(asked json, at bigint) RETURNS text LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    called CONSTANT text := asked -> 'guard' ->> 'name';
    ends CONSTANT bigint := at + (asked -> 'guard' ->> 'span')::bigint;
    latest CONSTANT boolean := (asked -> 'guard' ->> 'last')::boolean;
    other text;
    stands record;
BEGIN
    SELECT id INTO other FROM jobs WHERE id = asked ->> 'id';
    IF FOUND THEN
        RETURN other;
    END IF;
    IF asked ->> 'extends' IS NOT NULL AND cardinality(being_extended(ARRAY[asked ->> 'extends'])) = 0 THEN
        RETURN '';
    END IF;
    SELECT id INTO other FROM jobs
    WHERE left(key, 255) = left(asked ->> 'key', 255) AND key = asked ->> 'key' AND key IS NOT NULL
    AND state IN ($waiting, $scheduled, $queued, $processing);
    IF FOUND THEN
        RETURN other;
    END IF;
    -- Of several who ask at once, each waits here until the one before has committed.
    INSERT INTO guards (name, job, until) VALUES (called, '', 0) ON CONFLICT DO NOTHING;
    SELECT job, until INTO stands FROM guards
    WHERE left(name, 255) = left(called, 255) AND name = called FOR NO KEY UPDATE;
    IF NOT latest THEN
        SELECT id INTO other FROM jobs WHERE id = stands.job AND stands.until > at;
        IF FOUND THEN
            RETURN other;
        END IF;
    ELSIF put_off(stands.job, asked ->> 'payload', ends, at) THEN
        UPDATE guards SET until = ends WHERE left(name, 255) = left(called, 255) AND name = called;
        RETURN stands.job;
    END IF;
    SELECT r.holder INTO other FROM insert_linked(json_build_array(asked), at) AS r;
    IF FOUND THEN
        RETURN other;
    END IF;
    UPDATE guards SET job = asked ->> 'id', until = ends WHERE left(name, 255) = left(called, 255) AND name = called;
    RETURN NULL;
END
$body$;

-- Have a job that has yet to begin take another payload, and be due then; whether it was one.
CREATE FUNCTION "$schema".put_off(job text, told text, due bigint, at bigint) RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
    limited text;
BEGIN
    UPDATE jobs SET
        payload = told, run_at = due, updated_at = at, turn = 0, party = NULL, parked = limit_key IS NOT NULL,
        state = CASE WHEN due > at THEN $scheduled ELSE $queued END
    WHERE id = job AND state + 0 IN ($scheduled, $queued) AND attempt = 0
    RETURNING limit_key INTO limited;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM wake(at);
    PERFORM welcome(ARRAY[job], at);
    IF limited IS NOT NULL THEN
        INSERT INTO inserted (at, parents, limits)
        VALUES (at, '{}', json_build_array(json_build_object('touched', limited)));
    END IF;
    RETURN true;
END
$body$;

-- What inserts of this transaction have left to be done at its commit, all at once, so that locks are taken in order:
-- parents that were there before are told that somebody waits, and if they have ended meanwhile, nobody does; limits get
-- their latest numbers, and as many of their jobs as there is room for are let into the claim.
CREATE FUNCTION "$schema".at_commit() RETURNS trigger LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
#variable_conflict use_variable
DECLARE
    moment bigint;
    outside text[];
    told json;
    done record;
    ended record;
    keys text[];
BEGIN
    WITH all_of_them AS (DELETE FROM inserted RETURNING ref, at, parents, limits)
    SELECT
        max(a.at),
        (SELECT array_agg(DISTINCT p.parent) FROM all_of_them AS b, unnest(b.parents) AS p (parent)),
        (SELECT json_agg(l.told ORDER BY b.ref) FROM all_of_them AS b, json_array_elements(b.limits) AS l (told))
    INTO moment, outside, told FROM all_of_them AS a;
    IF moment IS NULL THEN
        RETURN NULL;
    END IF;
    IF outside IS NOT NULL THEN
        PERFORM FROM jobs WHERE jobs.id = ANY (outside) ORDER BY jobs.ref FOR NO KEY UPDATE;
        UPDATE jobs SET awaited = true WHERE jobs.id = ANY (outside) AND NOT jobs.awaited;
        SELECT
            coalesce(array_agg(jobs.id) FILTER (WHERE jobs.state = $completed), '{}') AS well,
            coalesce(array_agg(jobs.id) FILTER (WHERE jobs.state IN ($failed, $cancelled)), '{}') AS badly,
            ARRAY(SELECT unnest(outside) EXCEPT SELECT unnest(array_agg(jobs.id))) AS gone
        INTO ended FROM jobs WHERE jobs.id = ANY (outside);
        SELECT * INTO done FROM conclude(ended.well, ended.badly, ended.gone, '{}', moment);
        PERFORM give_turns(done.arrived);
        keys := done.keys;
    END IF;
    IF told IS NOT NULL THEN
        PERFORM put_limits(told);
        keys := keys || ARRAY(SELECT coalesce(l ->> 'key', l ->> 'touched') FROM json_array_elements(told) AS l);
    END IF;
    PERFORM readmit(keys, moment);
    RETURN NULL;
END
$body$;

CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON "$schema".inserted DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION "$schema".at_commit();

UPDATE "$schema".meta SET value = '3' WHERE name = 'schema';
