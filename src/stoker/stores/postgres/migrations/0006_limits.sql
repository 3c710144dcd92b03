-- Limits and turns.
--
-- How much room there is, is found out at the claim, by whoever has locked the limit's row. So that a claim need not walk
-- over jobs that have no room, these are parked: outside of the index that it reads. Not parked are, for every queue and
-- task, at least as many of a key's first jobs as have room (up to 256, as many as are claimed in one go). Whatever may
-- give room, or changes who is first, looks again (`readmit`). That more are outside does no harm: who meets them, parks
-- them.

-- Tokens in a bucket (see `stores.bucket`); without a bucket, any number.
CREATE FUNCTION "$schema".tokens(whole bigint, each bigint, full_at bigint, at bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $body$
    SELECT CASE WHEN whole IS NULL THEN 4611686018427387904 ELSE greatest(0, whole - greatest(0, full_at - at)) / each END
$body$;

-- The limits of these keys have these numbers from now on; without numbers, those that they had. They are locked.
CREATE FUNCTION "$schema".put_limits(given json) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    wanted text[] := ARRAY(
        SELECT DISTINCT coalesce(told ->> 'key', told ->> 'touched') FROM json_array_elements(given) AS told
    );
BEGIN
    INSERT INTO limits (key)
    SELECT w.key FROM unnest(wanted) AS w (key)
    WHERE NOT EXISTS (SELECT FROM limits WHERE left(limits.key, 255) = left(w.key, 255) AND limits.key = w.key)
    ORDER BY w.key COLLATE "C"
    ON CONFLICT DO NOTHING;
    PERFORM lock_limits(wanted);
    UPDATE limits SET
        concurrency = told.concurrency, rate = told.rate, period = told.period,
        each = greatest(1, told.period / told.rate), whole = told.rate * greatest(1, told.period / told.rate)
    FROM (
        SELECT DISTINCT ON (l.key) l.key, l.concurrency, l.rate, l.period
        FROM ROWS FROM (
            json_to_recordset(given) AS (key text, concurrency bigint, rate bigint, period bigint)
        ) WITH ORDINALITY AS l
        WHERE l.key IS NOT NULL
        ORDER BY l.key, l.ordinality DESC
    ) AS told
    WHERE left(limits.key, 255) = left(told.key, 255) AND limits.key = told.key
    AND (limits.concurrency, limits.rate, limits.period) IS DISTINCT FROM (told.concurrency, told.rate, told.period);
END
$body$;

CREATE FUNCTION "$schema".lock_limits(keys text[]) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM l.key FROM (
        SELECT DISTINCT k COLLATE "C" AS key FROM unnest(keys) AS k ORDER BY k COLLATE "C"
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT key FROM limits WHERE left(key, 255) = left(wanted.key, 255) AND key = wanted.key FOR NO KEY UPDATE
    ) AS l;
END
$body$;

-- How many more jobs of a key may begin now. To be relied on by who has locked the limit in a statement before.
CREATE FUNCTION "$schema".room_of(wanted text, at bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    told record;
    room bigint;
BEGIN
    SELECT concurrency, whole, each, full_at INTO told FROM limits
    WHERE left(key, 255) = left(wanted, 255) AND key = wanted;
    room := tokens(told.whole, told.each, told.full_at, at);
    IF told.concurrency IS NOT NULL AND room > 0 THEN
        room := least(room, told.concurrency - counted(wanted, told.concurrency));
    END IF;
    RETURN greatest(0, room);
END
$body$;

-- Jobs of a key that are processing, counted up to so many.
CREATE FUNCTION "$schema".counted(wanted text, most bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
BEGIN
    RETURN (SELECT count(*) FROM (
        SELECT FROM jobs
        WHERE limit_key IS NOT NULL AND state IN ($queued, $processing) AND state + 0 = $processing
        AND hashtextextended(limit_key, 0) = hashtextextended(wanted, 0) AND limit_key = wanted
        LIMIT most
    ) AS running);
END
$body$;

-- Something happened to jobs of these keys: lock their limits, and let into the claim what may be first there.
CREATE FUNCTION "$schema".readmit(keys text[], at bigint) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
BEGIN
    IF cardinality(keys) > 0 THEN
        PERFORM lock_limits(keys);
        PERFORM admit(keys, at);
    END IF;
END
$body$;

-- The same for limits that are locked; gives how many were let in.
CREATE FUNCTION "$schema".admit(keys text[], at bigint) RETURNS integer LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    one text;
    told record;
    lot bigint;
    room bigint;
    had bigint;
    waits boolean;
    places tid[] := '{}';
    free tid[];
BEGIN
    FOR one IN SELECT DISTINCT k FROM unnest(keys) AS k LOOP
        SELECT * INTO told FROM limits WHERE left(key, 255) = left(one, 255) AND key = one;
        had := tokens(told.whole, told.each, told.full_at, at);
        room := CASE WHEN told.concurrency IS NULL THEN 256 ELSE told.concurrency - counted(one, told.concurrency) END;
        room := least(room, 256);
        CONTINUE WHEN room <= 0 AND told.whole IS NULL AND told.token_at IS NULL;
        lot := first_lot(one, NULL);
        waits := lot IS NOT NULL;
        WHILE lot IS NOT NULL AND least(room, had) > 0 LOOP
            places := places || ARRAY(
                SELECT place FROM (
                    SELECT ctid AS place, parked FROM jobs
                    WHERE limit_key IS NOT NULL AND state IN ($queued, $processing) AND state + 0 = $queued
                    AND hashtextextended(limit_key, 0) = hashtextextended(one, 0)
                    AND hashtextextended(queue || '/' || task, 0) = lot AND limit_key = one
                    ORDER BY - priority, turn, run_at, ref LIMIT least(room, had)
                ) AS first WHERE parked
            );
            lot := first_lot(one, lot);
        END LOOP;
        -- When there are more tokens than now, if that would give more room; and when there is one.
        UPDATE limits SET next_at = due.more, token_at = due.one
        FROM (SELECT
            CASE WHEN waits AND had < least(told.rate, room) THEN told.full_at - (told.rate - had - 1) * told.each END AS more,
            CASE WHEN waits THEN told.full_at - (told.rate - 1) * told.each END AS one
        ) AS due
        WHERE left(key, 255) = left(told.key, 255) AND key = told.key
        AND (next_at, token_at) IS DISTINCT FROM (due.more, due.one);
    END LOOP;
    IF cardinality(places) = 0 THEN
        RETURN 0;
    END IF;
    free := still_parked(places);
    IF cardinality(free) < cardinality(places) THEN
        -- Somebody has a hand on some, and looks again when done; or is undone, and does not: so look again in a second.
        UPDATE limits SET next_at = least(next_at, at + 1000000) FROM (SELECT DISTINCT k FROM unnest(keys) AS k) AS one
        WHERE left(key, 255) = left(one.k, 255) AND key = one.k;
    END IF;
    PERFORM set_parked(free, false);
    RETURN cardinality(free);
END
$body$;

-- The queued jobs of a key lie in lots, one for each queue and task; the first lot, or the next one.
CREATE FUNCTION "$schema".first_lot(wanted text, beyond bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
BEGIN
    RETURN (
        SELECT hashtextextended(queue || '/' || task, 0) FROM jobs
        WHERE limit_key IS NOT NULL AND state IN ($queued, $processing) AND state + 0 = $queued
        AND hashtextextended(limit_key, 0) = hashtextextended(wanted, 0)
        AND hashtextextended(queue || '/' || task, 0) > coalesce(beyond, -9223372036854775808) AND limit_key = wanted
        ORDER BY hashtextextended(queue || '/' || task, 0) LIMIT 1
    );
END
$body$;

-- Of locked rows in the order in which they are to be claimed: those that there is room for, whose tokens are taken; the
-- others, which are parked; the keys whose limits somebody else has locked, whose jobs are left alone; and those locked.
CREATE FUNCTION "$schema".sift(
    places tid[], keys text[], at bigint, OUT kept tid[], OUT busy text[], OUT passed text[]
) LANGUAGE plpgsql AS $body$
DECLARE
    surplus tid[];
    spent text[];
BEGIN
    passed := ARRAY(
        SELECT l.key FROM (SELECT DISTINCT k AS key FROM unnest(keys) AS k WHERE k IS NOT NULL) AS wanted
        CROSS JOIN LATERAL (
            SELECT key FROM limits WHERE left(key, 255) = left(wanted.key, 255) AND key = wanted.key
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS l
    );
    busy := ARRAY(SELECT unnest(keys) EXCEPT SELECT unnest(passed) EXCEPT SELECT NULL);
    WITH ranked AS (
        SELECT c.place, c.key, c.n, row_number() OVER (PARTITION BY c.key ORDER BY c.n) AS rank
        FROM unnest(places, keys) WITH ORDINALITY AS c (place, key, n)
        WHERE c.key IS NULL OR c.key <> ALL (busy)
    ), measured AS (
        SELECT *, max(CASE WHEN rank = 1 AND key IS NOT NULL THEN room_of(key, at) END) OVER (PARTITION BY key) AS room
        FROM ranked
    )
    SELECT
        coalesce(array_agg(place ORDER BY n) FILTER (WHERE key IS NULL OR rank <= room), '{}'),
        array_agg(place) FILTER (WHERE key IS NOT NULL AND rank > room),
        array_agg(key) FILTER (WHERE key IS NOT NULL AND rank <= room)
    INTO kept, surplus, spent FROM measured;
    IF surplus IS NOT NULL THEN
        PERFORM set_parked(surplus, true);
    END IF;
    UPDATE limits SET full_at = greatest(full_at, at) + s.number * each
    FROM (SELECT k AS key, count(*) AS number FROM unnest(spent) AS k GROUP BY k) AS s
    WHERE left(limits.key, 255) = left(s.key, 255) AND limits.key = s.key AND whole IS NOT NULL;
END
$body$;

-- For a worker that takes only some tags: where jobs that it does not take are in front of a limit's line, let those
-- behind into the claim that it does. It looks at the first thousand of the queue, and of each such line.
CREATE FUNCTION "$schema".let_by(wanted text, tasks text[], tags_wanted text[], untagged boolean, at bigint)
RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    line record;
    places tid[] := '{}';
BEGIN
    FOR line IN
        SELECT DISTINCT key, task FROM (
            SELECT limit_key AS key, task, tags FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued AND NOT parked
            AND queue = wanted AND task = ANY (tasks)
            ORDER BY - priority, turn, run_at, ref LIMIT 1000
        ) AS first WHERE key IS NOT NULL AND NOT takes(tags, tags_wanted, untagged)
    LOOP
        places := places || ARRAY(
            SELECT place FROM (
                SELECT ctid AS place, tags, - priority AS rank, turn, run_at, ref FROM jobs
                WHERE limit_key IS NOT NULL AND state IN ($queued, $processing) AND state + 0 = $queued
                AND hashtextextended(limit_key, 0) = hashtextextended(line.key, 0)
                AND hashtextextended(queue || '/' || task, 0) = hashtextextended(wanted || '/' || line.task, 0)
                AND limit_key = line.key AND parked
                ORDER BY - priority, turn, run_at, ref LIMIT 1000
            ) AS next WHERE takes(tags, tags_wanted, untagged)
            ORDER BY rank, turn, run_at, ref LIMIT least(256, room_of(line.key, at))
        );
    END LOOP;
    IF cardinality(places) > 0 THEN
        PERFORM set_parked(still_parked(places), false);
    END IF;
END
$body$;

CREATE FUNCTION "$schema".takes(tags text, wanted text[], untagged boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $body$
    SELECT CASE
        WHEN tags IS NULL THEN untagged
        ELSE EXISTS (SELECT FROM json_array_elements_text(tags::json) AS tag WHERE tag = ANY (wanted))
    END
$body$;

-- How many more jobs of a queue may begin now; it is locked.
CREATE FUNCTION "$schema".room_in(wanted text, at bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    told record;
    room bigint;
BEGIN
    SELECT concurrency, whole, each, full_at INTO told FROM queues
    WHERE left(name, 255) = left(wanted, 255) AND name = wanted;
    room := tokens(told.whole, told.each, told.full_at, at);
    IF told.concurrency IS NOT NULL AND room > 0 THEN
        room := least(room, told.concurrency - (
            SELECT count(*) FROM (
                SELECT FROM jobs WHERE state = $processing AND queue = wanted LIMIT told.concurrency
            ) AS running
        ));
    END IF;
    RETURN greatest(0, room);
END
$body$;

-- Give their turns to jobs that have just been queued, one after the other; in queues without turns nothing happens.
CREATE FUNCTION "$schema".give_turns(ids text[]) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    IF coalesce(cardinality(ids), 0) = 0 OR NOT EXISTS (SELECT FROM queues WHERE fair IS NOT NULL) THEN
        RETURN;
    END IF;
    PERFORM set_turns(ids);
END
$body$;

CREATE FUNCTION "$schema".set_turns(ids text[]) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
BEGIN
    WITH came AS MATERIALIZED (
        SELECT job.id, job.queue, one.n, party_of(q.fair, job.owner, job.share) AS party
        FROM unnest(ids) WITH ORDINALITY AS one (id, n)
        CROSS JOIN LATERAL (
            SELECT id, queue, owner, share FROM jobs WHERE jobs.id = one.id AND state + 0 = $queued LIMIT 1
        ) AS job
        CROSS JOIN LATERAL (
            SELECT fair FROM queues WHERE left(name, 255) = left(job.queue, 255) AND name = job.queue AND fair IS NOT NULL
        ) AS q
    ), numbered AS MATERIALIZED (
        SELECT *, row_number() OVER (PARTITION BY queue, party ORDER BY n) AS number FROM came
    ), begun AS MATERIALIZED (
        SELECT *,
            max(CASE WHEN number = 1 THEN first_turn(queue, party) END) OVER (PARTITION BY queue, party) AS start
        FROM numbered
    )
    UPDATE jobs SET party = begun.party, turn = begun.start + begun.number - 1 FROM begun WHERE jobs.id = begun.id;
END
$body$;

-- The turn of who is queued next: after its party's last, but not before the first of all.
CREATE FUNCTION "$schema".first_turn(wanted text, whose bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
BEGIN
    RETURN greatest(
        coalesce((
            SELECT turn FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued AND turn > 0 AND queue = wanted
            ORDER BY turn LIMIT 1
        ), 1),
        coalesce((
            SELECT turn FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND party = whose AND state = $queued AND turn > 0 AND queue = wanted
            ORDER BY turn DESC LIMIT 1
        ) + 1, 1)
    );
END
$body$;

CREATE FUNCTION "$schema".party_of(fair text, owner text, share text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $body$
    SELECT hashtextextended(coalesce('+' || CASE fair WHEN 'owner' THEN owner ELSE share END, '-'), 0)
$body$;

-- Let so much through a queue from now on.
CREATE FUNCTION "$schema".limit_queue(
    wanted text, most bigint, per bigint, span bigint, among text, instant bigint
) RETURNS void LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $body$
DECLARE
    at CONSTANT bigint := present(instant);
    before text;
    keys text[];
BEGIN
    INSERT INTO queues (name) VALUES (wanted) ON CONFLICT DO NOTHING;
    SELECT fair INTO before FROM queues WHERE left(name, 255) = left(wanted, 255) AND name = wanted FOR NO KEY UPDATE;
    UPDATE queues SET
        concurrency = most, rate = per, period = span, fair = among,
        each = greatest(1, span / per), whole = per * greatest(1, span / per)
    WHERE left(name, 255) = left(wanted, 255) AND name = wanted;
    IF among IS DISTINCT FROM before THEN
        WITH queued AS MATERIALIZED (
            SELECT id, ref, priority, run_at, party_of(among, owner, share) AS party FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued AND NOT parked AND queue = wanted
            UNION ALL
            SELECT id, ref, priority, run_at, party_of(among, owner, share) FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued AND (parked OR turn > 0) AND queue = wanted
            AND parked
        ), given AS MATERIALIZED (
            SELECT id, party, row_number() OVER (PARTITION BY party ORDER BY - priority, run_at, ref) AS turn FROM queued
        ), changed AS (
            UPDATE jobs SET
                party = CASE WHEN among IS NOT NULL THEN given.party END,
                turn = CASE WHEN among IS NOT NULL THEN given.turn ELSE 0 END
            FROM given WHERE jobs.id = given.id AND jobs.state + 0 = $queued
            RETURNING limit_key
        )
        SELECT array_agg(DISTINCT limit_key) FILTER (WHERE limit_key IS NOT NULL) INTO keys FROM changed;
        PERFORM readmit(keys, at);
    END IF;
    PERFORM wake(at);
END
$body$;

UPDATE "$schema".meta SET value = '6' WHERE name = 'schema';
