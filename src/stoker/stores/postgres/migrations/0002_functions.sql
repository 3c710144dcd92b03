-- What a worker and an app ask for most, each in one round trip. Within a function every statement sees what was
-- committed before it began. Plans are made once and for any values (a plan for present values is one for a table that
-- is empty now and full in a minute), and never of scans and joins that read whole tables.
--
-- Whoever changes many jobs locks them in the order of their refs.
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

-- Make jobs; gives the places (from 1) of those that were not made, and the jobs that are there instead.
CREATE FUNCTION "$schema".insert_jobs(given json, instant bigint DEFAULT NULL)
RETURNS TABLE (place bigint, holder text) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    at bigint := present(instant);
    made text[];
    other text;
    one record;
BEGIN
    WITH fresh AS (
        INSERT INTO jobs (
            id, task, queue, payload, state, priority, run_at, max_attempts, max_crashes, keep_for,
            created_at, updated_at, owner, key, tags, overrides, meta, parents, workflow, schedule
        )
        SELECT
            id, task, queue, payload,
            CASE
                WHEN parents::text <> '[]' THEN $waiting
                WHEN coalesce(run_at, at + delay) > at THEN $scheduled
                ELSE $queued
            END,
            priority, coalesce(run_at, at + delay), max_attempts, max_crashes, keep_for,
            at, at, owner, key, nullif(tags::text, '[]'), overrides, meta, nullif(parents::text, '[]'), workflow, schedule
        FROM ROWS FROM (json_to_recordset(given) AS (
            id text, task text, payload text, queue text, priority smallint, delay bigint, run_at bigint,
            max_attempts integer, max_crashes integer, keep_for bigint, owner text, key text, tags json,
            overrides text, meta text, parents json, workflow text, schedule text
        )) WITH ORDINALITY
        ORDER BY ordinality
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT array_agg(id) INTO made FROM fresh;
    IF made IS NOT NULL THEN
        PERFORM wake(at);
    END IF;
    IF coalesce(cardinality(made), 0) = json_array_length(given) THEN
        RETURN;
    END IF;
    FOR one IN
        SELECT ordinality AS place, job ->> 'id' AS id, job ->> 'key' AS key, job
        FROM json_array_elements(given) WITH ORDINALITY AS list (job, ordinality)
    LOOP
        IF one.id = ANY (made) THEN
            made := array_remove(made, one.id);  -- the same id again is not new any more
            CONTINUE;
        END IF;
        SELECT id INTO other FROM jobs WHERE id = one.id;
        IF NOT FOUND THEN
            SELECT id INTO other FROM jobs
            WHERE left(key, 255) = left(one.key, 255) AND key = one.key AND key IS NOT NULL
            AND state IN ($waiting, $scheduled, $queued, $processing);
        END IF;
        IF NOT FOUND THEN  -- it has ended meanwhile, and the place is free
            SELECT again.holder INTO other FROM insert_jobs(json_build_array(one.job), at) AS again;
        END IF;
        IF FOUND THEN
            place := one.place;
            holder := other;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$body$;

-- Record outcomes of any kind; gives the refs of those whose claims are not held, in order. `next` is where an
-- outcome leads; the rest follows from it.
CREATE FUNCTION "$schema".settle(
    outcomes json, at bigint, capped boolean DEFAULT true, OUT refused bigint[], OUT queued bigint, OUT failed bigint
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
            finished_at = CASE WHEN o.finished THEN at ELSE finished_at END,
            expires_at = CASE WHEN o.finished THEN at + keep_for ELSE expires_at END,
            updated_at = at
        FROM followed AS o WHERE jobs.ref = o.ref AND jobs.state = $processing
        RETURNING o.place, o.next
    )
    SELECT
        (SELECT array_agg(ref ORDER BY place) FROM said WHERE place NOT IN (SELECT place FROM changed)),
        count(*) FILTER (WHERE next = $queued), count(*) FILTER (WHERE next = $failed)
    INTO refused, queued, failed FROM changed;
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

-- End claims that are held now, all with one verdict; gives how many are queued and how many failed by it.
CREATE FUNCTION "$schema".end_alike(
    refs bigint[], verdict text, at bigint, capped boolean DEFAULT true, OUT queued bigint, OUT failed bigint
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
        SELECT s.queued, s.failed INTO queued, failed FROM settle(outcomes, at, capped) AS s;
    END IF;
END
$body$;

-- Scheduled jobs that are due are queued; gives the instant at which the next is.
CREATE FUNCTION "$schema".promote(at bigint) RETURNS bigint LANGUAGE plpgsql
SET search_path = "$schema", pg_temp AS $body$
DECLARE
    due bigint;
BEGIN
    SELECT min(run_at) INTO due FROM jobs WHERE state = $scheduled;
    IF due <= at THEN
        PERFORM make_ready(ARRAY(
            SELECT ctid FROM jobs WHERE state = $scheduled AND run_at <= at ORDER BY run_at LIMIT 20000
            FOR NO KEY UPDATE SKIP LOCKED
        ), at);
        SELECT min(run_at) INTO due FROM jobs WHERE state = $scheduled;
    END IF;
    RETURN due;
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
        RETURNING *
    )
    SELECT
        string_agg(json_build_array(
            ref, fence, id, task, queue, payload, attempt, crashes, max_attempts, owner, checkpoint, overrides
        )::text, ','),
        jsonb_build_array(
            (array_agg(- priority))[count(*)], (array_agg(run_at))[count(*)], (array_agg(ref))[count(*)]
        )
    INTO taken, reached
    FROM (SELECT * FROM moved ORDER BY - priority, run_at, ref) AS ordered;
END
$body$;

CREATE FUNCTION "$schema".make_ready(places tid[], at bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    UPDATE jobs SET state = $queued, updated_at = at WHERE ctid = ANY (places);
END
$body$;

CREATE FUNCTION "$schema".drop_jobs(places tid[]) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
AS $body$
BEGIN
    DELETE FROM jobs WHERE ctid = ANY (places);
END
$body$;

-- Claim up to `room` jobs of one queue for a worker, from a floor (rank, run_at, ref) on; gives them as elements of a
-- JSON array, where they ended, and the microseconds that it took to find them.
CREATE FUNCTION "$schema".take(
    holder bigint, wanted text, room integer, tasks text[], tags_wanted text[], untagged boolean, at bigint, floor json,
    OUT number integer, OUT taken text, OUT reached jsonb, OUT walked bigint
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    began CONSTANT bigint := present(NULL);
    rank CONSTANT integer := coalesce((floor ->> 0)::integer, -1000000);
    due CONSTANT bigint := coalesce((floor ->> 1)::bigint, -9223372036854775808);
    least CONSTANT bigint := coalesce((floor ->> 2)::bigint, 0);
    chosen tid[];
BEGIN
    IF tags_wanted IS NULL THEN
        chosen := ARRAY(
            SELECT ctid FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued
            AND (- priority, run_at, ref) >= (rank, due, least)
            AND queue = wanted AND task = ANY (tasks)
            ORDER BY - priority, run_at, ref LIMIT room
            FOR NO KEY UPDATE SKIP LOCKED
        );
    ELSE
        chosen := ARRAY(
            SELECT ctid FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued
            AND (- priority, run_at, ref) >= (rank, due, least)
            AND queue = wanted AND task = ANY (tasks)
            AND CASE
                WHEN tags IS NULL THEN untagged
                ELSE EXISTS (SELECT FROM json_array_elements_text(tags::json) AS tag WHERE tag = ANY (tags_wanted))
            END
            ORDER BY - priority, run_at, ref LIMIT room
            FOR NO KEY UPDATE SKIP LOCKED
        );
    END IF;
    walked := present(NULL) - began;
    number := cardinality(chosen);
    IF number = 0 THEN
        RETURN;
    END IF;
    SELECT s.taken, jsonb_build_object(wanted, s.reached) INTO taken, reached FROM start(chosen, holder, at) AS s;
END
$body$;

-- Claim for all wants, one after the other; `floors` gives, by queue, where to begin, and only its queues are looked at
-- by a want for all. Gives the claims as elements of a JSON array, how many, where they ended, and the way's microseconds.
CREATE FUNCTION "$schema".claim(
    holder bigint, want_queues text[], want_limits integer[], most integer, turn bigint,
    tasks text[], tags text[], untagged boolean, at bigint, floors json,
    OUT claims text, OUT number integer, OUT reached jsonb, OUT walked bigint
) LANGUAGE plpgsql AS $body$
DECLARE
    began CONSTANT bigint := present(NULL);
    closed CONSTANT text[] := ARRAY(SELECT queues.name FROM queues WHERE paused);
    ready text[];
    names text[];
    room integer;
    share integer;
    part record;
BEGIN
    number := 0;
    reached := '{}';
    IF array_position(want_queues, NULL) IS NOT NULL THEN
        ready := ARRAY(SELECT ready_name FROM ready_queues(floors) AS ready_name WHERE ready_name <> ALL (closed));
    END IF;
    walked := present(NULL) - began;
    FOR want IN 1 .. cardinality(want_queues) LOOP
        room := least(want_limits[want], most - number);
        IF want_queues[want] IS NULL THEN
            names := in_turns(ready, turn);
        ELSIF want_queues[want] = ANY (closed) THEN
            names := '{}';
        ELSE
            names := want_queues[want : want];
        END IF;
        -- An even share each, and then what others left.
        FOR round IN 1 .. least(2, cardinality(names)) LOOP
            FOR place IN 1 .. cardinality(names) LOOP
                EXIT WHEN room <= 0;
                share := CASE WHEN round = 1 THEN ceil(room::float8 / (cardinality(names) - place + 1)) ELSE room END;
                SELECT * INTO part
                FROM take(holder, names[place], share, tasks, tags, untagged, at, floors -> names[place]);
                walked := walked + part.walked;
                IF part.number > 0 THEN
                    room := room - part.number;
                    number := number + part.number;
                    claims := concat_ws(',', claims, part.taken);
                    reached := reached || part.reached;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END
$body$;

-- Settle what is done, then claim what there is room for. With floors, nothing is said to be there only after a look
-- from the start: `from_start` tells of it.
CREATE FUNCTION "$schema".exchange(
    worker_id text, done_refs bigint[], done_fences bigint[], done_results text[], outcomes json, known bigint[],
    want_queues text[], want_limits integer[], most integer, turn bigint,
    tasks text[], tags text[], untagged boolean, floors json, instant bigint,
    OUT alive boolean, OUT due_in bigint, OUT refused bigint[],
    OUT claims text, OUT walked bigint, OUT reached jsonb, OUT from_start boolean
) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
DECLARE
    at bigint := present(instant);
    holder bigint;
    slept boolean;
    due bigint;
    settled bigint[];
    places tid[];
    results text[];
    claimed integer;
    starved boolean;
BEGIN
    IF cardinality(done_refs) > 0 THEN
        SELECT array_agg(done.ref), array_agg(held.ctid), array_agg(done.result) INTO settled, places, results
        FROM unnest(done_refs, done_fences, done_results) AS done (ref, fence, result) CROSS JOIN LATERAL (
            SELECT ctid FROM jobs WHERE jobs.ref = done.ref AND jobs.fence = done.fence AND jobs.state = $processing
            LIMIT 1 FOR NO KEY UPDATE
        ) AS held;
        PERFORM complete(places, results, at);
        IF cardinality(settled) IS DISTINCT FROM cardinality(done_refs) THEN
            refused := ARRAY(SELECT unnest(done_refs) EXCEPT SELECT unnest(settled));
        END IF;
    END IF;
    IF outcomes IS NOT NULL THEN
        refused := refused || (SELECT s.refused FROM settle(outcomes, at) AS s);
    END IF;
    SELECT ref, asleep INTO holder, slept FROM workers
    WHERE left(id, 255) = left(worker_id, 255) AND id = worker_id AND NOT gone AND NOT lapsed AND lease_until > at;
    alive := holder IS NOT NULL;
    IF known IS NOT NULL THEN
        PERFORM end_alike(ARRAY(
            SELECT jobs.ref FROM jobs JOIN workers ON jobs.worker = workers.ref
            WHERE left(workers.id, 255) = left(worker_id, 255) AND workers.id = worker_id
            AND jobs.state = $processing AND jobs.ref <> ALL (known)
        ), 'released', at);
    END IF;
    IF outcomes IS NOT NULL OR known IS NOT NULL THEN
        PERFORM wake(at, coalesce(holder, 0));
    END IF;
    due := promote(at);
    due_in := CASE WHEN due > at THEN due - at WHEN due IS NOT NULL THEN 0 END;
    IF NOT alive OR cardinality(want_queues) = 0 THEN
        RETURN;
    END IF;

    from_start := floors IS NULL;
    SELECT c.claims, c.number, c.reached, c.walked INTO claims, claimed, reached, walked
    FROM claim(holder, want_queues, want_limits, most, turn, tasks, tags, untagged, at, floors) AS c;
    IF claimed = 0 AND NOT from_start THEN
        from_start := true;
        SELECT c.claims, c.number, c.reached, c.walked INTO claims, claimed, reached, walked
        FROM claim(holder, want_queues, want_limits, most, turn, tasks, tags, untagged, at, NULL) AS c;
    END IF;

    -- Who has room left waits for a ring. It rings for itself as well, once, so that it looks again for what was
    -- committed before anybody could see that it sleeps.
    starved := claimed < least(most, (SELECT sum(room) FROM unnest(want_limits) AS room));
    IF slept <> starved THEN
        UPDATE workers SET asleep = starved WHERE ref = holder;
        IF starved THEN
            PERFORM pg_notify('$schema', '');
        END IF;
    END IF;
END
$body$;

-- The queues that have jobs to claim: one step of the index for each, however deep they are. With floors: those of them
-- that have jobs from there on.
CREATE FUNCTION "$schema".ready_queues(floors json) RETURNS SETOF text LANGUAGE plpgsql AS $body$
DECLARE
    last text;
BEGIN
    IF floors IS NOT NULL THEN
        RETURN QUERY SELECT key FROM json_each(floors) WHERE EXISTS (
            SELECT FROM jobs
            WHERE left(queue, 255) = left(json_each.key, 255) AND state = $queued
            AND (- priority, run_at, ref) >= ((value ->> 0)::integer, (value ->> 1)::bigint, (value ->> 2)::bigint)
            AND queue = json_each.key
        ) ORDER BY key COLLATE "C";
        RETURN;
    END IF;
    SELECT queue INTO last FROM jobs WHERE state = $queued ORDER BY left(queue, 255) LIMIT 1;
    WHILE last IS NOT NULL LOOP
        RETURN NEXT last;
        SELECT (
            SELECT queue FROM jobs WHERE state = $queued AND left(queue, 255) > left(last, 255)
            ORDER BY left(queue, 255) LIMIT 1
        ) INTO last;
    END LOOP;
END
$body$;

-- The names, beginning with the one numbered `turn`, counted round and round.
CREATE FUNCTION "$schema".in_turns(names text[], turn bigint) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $body$
DECLARE
    total integer := cardinality(names);
    first integer;
BEGIN
    IF total < 2 THEN
        RETURN names;
    END IF;
    first := 1 + turn % total;
    RETURN names[first :] || names[: first - 1];
END
$body$;

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
        SELECT e.queued, e.failed INTO queued, failed FROM end_alike(lost, 'crashed', at) AS e;
        PERFORM wake(at);
    END IF;
    UPDATE workers SET gone = true
    WHERE NOT gone AND lapsed AND NOT EXISTS (SELECT FROM jobs WHERE worker = workers.ref AND state = $processing);
END
$body$;

-- Delete finished jobs whose retention is over, and the names of workers that nobody needs any more.
CREATE FUNCTION "$schema".prune(most bigint, remembered bigint, instant bigint) RETURNS bigint LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    at bigint := present(instant);
    places tid[];
BEGIN
    places := ARRAY(
        SELECT ctid FROM jobs WHERE expires_at <= at ORDER BY expires_at, ref LIMIT most FOR UPDATE SKIP LOCKED
    );
    PERFORM drop_jobs(places);
    DELETE FROM workers WHERE gone AND seen_at <= at - remembered;
    RETURN cardinality(places);
END
$body$;

-- Queue failed and cancelled jobs again; of jobs with one key the first gets it. Gives how many were queued.
CREATE FUNCTION "$schema".retry(ids text[], instant bigint) RETURNS bigint LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
DECLARE
    at bigint := present(instant);
    one text;
    queued bigint := 0;
BEGIN
    PERFORM wake(at);
    FOREACH one IN ARRAY ids LOOP
        BEGIN
            UPDATE jobs SET
                state = $queued, run_at = at, updated_at = at, finished_at = NULL, expires_at = NULL,
                max_attempts = greatest(max_attempts, attempt - crashes + 1),
                max_crashes = greatest(max_crashes, crashes + 1)
            WHERE id = one AND state IN ($failed, $cancelled);
            queued := queued + 1;
        EXCEPTION WHEN unique_violation THEN
            CONTINUE;
        END;
    END LOOP;
    RETURN queued;
END
$body$;

UPDATE "$schema".meta SET value = '2' WHERE name = 'schema';
