-- What a worker claims. Functions without settings are called by `exchange`, and have its own.

-- Claim up to `room` jobs of one queue for a worker, from a floor (rank, turn, run_at, ref) on; gives them as elements of
-- a JSON array, where they ended, and the microseconds that it took to find them.
CREATE FUNCTION "$schema".take(
    holder bigint, wanted text, room integer, tasks text[], tags_wanted text[], untagged boolean, at bigint, floor json,
    OUT number integer, OUT taken text, OUT reached jsonb, OUT walked bigint
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    began CONSTANT bigint := present(NULL);
    rank CONSTANT integer := coalesce((floor ->> 0)::integer, -1000000);
    place CONSTANT bigint := coalesce((floor ->> 1)::bigint, 0);
    due CONSTANT bigint := coalesce((floor ->> 2)::bigint, -9223372036854775808);
    least CONSTANT bigint := coalesce((floor ->> 3)::bigint, 0);
    chosen tid[];
BEGIN
    IF tags_wanted IS NULL THEN
        chosen := ARRAY(
            SELECT ctid FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued AND NOT parked
            AND (- priority, turn, run_at, ref) >= (rank, place, due, least)
            AND queue = wanted AND task = ANY (tasks)
            ORDER BY - priority, turn, run_at, ref LIMIT room
            FOR NO KEY UPDATE SKIP LOCKED
        );
    ELSE
        chosen := ARRAY(
            SELECT ctid FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued AND NOT parked
            AND (- priority, turn, run_at, ref) >= (rank, place, due, least)
            AND queue = wanted AND task = ANY (tasks) AND takes(tags, tags_wanted, untagged)
            ORDER BY - priority, turn, run_at, ref LIMIT room
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

-- The same where there are limits: so many at once as are let into the claim of each, and no more than there is room for.
-- `missed`: somebody else was about to claim of the same limit.
CREATE FUNCTION "$schema".take_limited(
    holder bigint, wanted text, room integer, tasks text[], tags_wanted text[], untagged boolean, at bigint, floor json,
    OUT number integer, OUT taken text, OUT reached jsonb, OUT walked bigint, OUT missed boolean
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    rank CONSTANT integer := coalesce((floor ->> 0)::integer, -1000000);
    place CONSTANT bigint := coalesce((floor ->> 1)::bigint, 0);
    due CONSTANT bigint := coalesce((floor ->> 2)::bigint, -9223372036854775808);
    least CONSTANT bigint := coalesce((floor ->> 3)::bigint, 0);
    began bigint;
    part integer;
    chosen tid[];
    keys text[];
    sifted record;
    closed text[] := '{}';
    found integer;
    fresh integer;
    begun record;
BEGIN
    number := 0;
    walked := 0;
    missed := false;
    WHILE room > 0 LOOP
        IF tags_wanted IS NOT NULL THEN
            PERFORM let_by(wanted, tasks, tags_wanted, untagged, at);
        END IF;
        began := present(NULL);
        part := least(room, 256);
        SELECT array_agg(c.place), array_agg(c.key) INTO chosen, keys FROM (
            SELECT ctid AS place, limit_key AS key FROM jobs
            WHERE left(queue, 255) = left(wanted, 255) AND state = $queued AND NOT parked
            AND (- priority, turn, run_at, ref) >= (rank, place, due, least)
            AND queue = wanted AND task = ANY (tasks)
            AND (tags_wanted IS NULL OR takes(tags, tags_wanted, untagged))
            AND (limit_key IS NULL OR limit_key <> ALL (closed))
            ORDER BY - priority, turn, run_at, ref LIMIT part
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS c;
        walked := walked + present(NULL) - began;
        found := coalesce(cardinality(chosen), 0);
        EXIT WHEN found = 0;
        fresh := 0;
        IF array_remove(keys, NULL) = '{}' THEN
            sifted := NULL;
        ELSE
            SELECT * INTO sifted FROM sift(chosen, keys, at);
            chosen := sifted.kept;
            closed := closed || sifted.busy;
            missed := missed OR cardinality(sifted.busy) > 0;
        END IF;
        IF cardinality(chosen) > 0 THEN
            SELECT * INTO begun FROM start(chosen, holder, at);
            number := number + cardinality(chosen);
            room := room - cardinality(chosen);
            taken := concat_ws(',', taken, begun.taken);
            reached := jsonb_build_object(wanted, begun.reached);
        END IF;
        IF sifted IS NOT NULL THEN
            fresh := admit(sifted.passed, at);
        END IF;
        EXIT WHEN found < part AND fresh = 0;
    END LOOP;
END
$body$;

-- Claim for all wants, one after the other; `floors` gives, by queue, where to begin, and only its queues are looked at
-- by a want for all. `closed` are paused, `narrow` have limits of their own; `limited`: there are limits of jobs.
-- Gives the claims as elements of a JSON array, how many, where they ended, and the way's microseconds.
CREATE FUNCTION "$schema".claim(
    holder bigint, want_queues text[], want_limits integer[], most integer, turn bigint,
    tasks text[], tags text[], untagged boolean, at bigint, floors json,
    closed text[], narrow text[], limited boolean,
    OUT claims text, OUT number integer, OUT reached jsonb, OUT walked bigint, OUT missed boolean
) LANGUAGE plpgsql AS $body$
DECLARE
    began CONSTANT bigint := present(NULL);
    ready text[];
    names text[];
    room integer;
    share integer;
    part record;
BEGIN
    number := 0;
    reached := '{}';
    missed := false;
    IF array_position(want_queues, NULL) IS NOT NULL THEN
        ready := ARRAY(
            SELECT ready_name FROM ready_queues(floors, limited) AS ready_name
            WHERE closed IS NULL OR ready_name <> ALL (closed)
        );
    END IF;
    IF narrow IS NOT NULL THEN
        PERFORM FROM queues WHERE queues.name = ANY (narrow) AND queues.name = ANY (ready || want_queues)
        ORDER BY queues.name FOR NO KEY UPDATE;
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
                IF narrow IS NOT NULL AND names[place] = ANY (narrow) THEN
                    share := least(share, room_in(names[place], at));
                    CONTINUE WHEN share <= 0;
                END IF;
                IF limited THEN
                    SELECT * INTO part
                    FROM take_limited(holder, names[place], share, tasks, tags, untagged, at, floors -> names[place]);
                    missed := missed OR part.missed;
                ELSE
                    SELECT * INTO part
                    FROM take(holder, names[place], share, tasks, tags, untagged, at, floors -> names[place]);
                END IF;
                walked := walked + part.walked;
                IF part.number > 0 THEN
                    IF narrow IS NOT NULL AND names[place] = ANY (narrow) THEN
                        UPDATE queues SET full_at = greatest(full_at, at) + part.number * each
                        WHERE left(queues.name, 255) = left(names[place], 255) AND queues.name = names[place]
                        AND whole IS NOT NULL;
                    END IF;
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
    settled bigint[];
    places tid[];
    results text[];
    well text[] := '{}';
    badly text[] := '{}';
    keys text[] := '{}';
    arrived text[] := '{}';
    ends record;
    due bigint;
    limited boolean;
    closed text[];
    narrow text[];
    counting boolean;
    ring boolean := outcomes IS NOT NULL OR known IS NOT NULL;
    claimed integer;
    missed boolean;
    starved boolean;
BEGIN
    IF cardinality(done_refs) > 0 THEN
        SELECT
            array_agg(done.ref), array_agg(held.ctid), array_agg(done.result),
            array_agg(held.id) FILTER (WHERE held.awaited), array_agg(held.limit_key) FILTER (WHERE held.limit_key IS NOT NULL)
        INTO settled, places, results, well, keys
        FROM unnest(done_refs, done_fences, done_results) AS done (ref, fence, result) CROSS JOIN LATERAL (
            SELECT ctid, id, awaited, limit_key FROM jobs
            WHERE jobs.ref = done.ref AND jobs.fence = done.fence AND jobs.state = $processing
            LIMIT 1 FOR NO KEY UPDATE
        ) AS held;
        PERFORM complete(places, results, at);
        IF cardinality(settled) IS DISTINCT FROM cardinality(done_refs) THEN
            refused := ARRAY(SELECT unnest(done_refs) EXCEPT SELECT unnest(settled));
        END IF;
    END IF;
    IF outcomes IS NOT NULL THEN
        SELECT * INTO ends FROM settle(outcomes, at);
        refused := refused || ends.refused;
        well := well || ends.well;
        badly := badly || ends.badly;
        keys := keys || ends.keys;
        arrived := arrived || ends.arrived;
    END IF;
    SELECT ref, asleep INTO holder, slept FROM workers
    WHERE left(id, 255) = left(worker_id, 255) AND id = worker_id AND NOT gone AND NOT lapsed AND lease_until > at;
    alive := holder IS NOT NULL;
    IF known IS NOT NULL THEN
        SELECT * INTO ends FROM end_alike(ARRAY(
            SELECT jobs.ref FROM jobs JOIN workers ON jobs.worker = workers.ref
            WHERE left(workers.id, 255) = left(worker_id, 255) AND workers.id = worker_id
            AND jobs.state = $processing AND jobs.ref <> ALL (known)
        ), 'released', at);
        badly := badly || ends.badly;
        keys := keys || ends.keys;
        arrived := arrived || ends.arrived;
    END IF;
    IF cardinality(well) > 0 OR cardinality(badly) > 0 THEN
        SELECT * INTO ends FROM conclude(coalesce(well, '{}'), badly, '{}', '{}', at);
        keys := keys || ends.keys;
        arrived := arrived || ends.arrived;
        ring := true;
    END IF;
    ring := ring OR cardinality(keys) > 0;
    SELECT min(run_at) INTO due FROM jobs WHERE state = $scheduled;
    IF due <= at THEN
        SELECT * INTO ends FROM promote(at);
        due := ends.due;
        keys := keys || ends.keys;
        arrived := arrived || ends.arrived;
    END IF;
    due_in := CASE WHEN due > at THEN due - at WHEN due IS NOT NULL THEN 0 END;
    IF cardinality(arrived) > 0 THEN
        PERFORM give_turns(arrived);
    END IF;
    SELECT
        EXISTS (SELECT FROM limits), array_agg(name) FILTER (WHERE paused),
        array_agg(name) FILTER (WHERE concurrency IS NOT NULL OR rate IS NOT NULL)
    INTO limited, closed, narrow FROM queues;
    counting := limited OR narrow IS NOT NULL;
    IF limited THEN
        PERFORM look_again(keys, at);
    END IF;
    IF narrow IS NOT NULL THEN
        PERFORM mend_queues(at);
    END IF;
    IF ring THEN
        PERFORM wake(at, coalesce(holder, 0));
    END IF;
    IF NOT alive OR cardinality(want_queues) = 0 THEN
        IF counting THEN
            due_in := least(due_in, token_in(limited, narrow, at));
        END IF;
        RETURN;
    END IF;

    from_start := floors IS NULL;
    SELECT c.claims, c.number, c.reached, c.walked, c.missed INTO claims, claimed, reached, walked, missed
    FROM claim(
        holder, want_queues, want_limits, most, turn, tasks, tags, untagged, at, floors,
        closed, narrow, limited
    ) AS c;
    IF claimed = 0 AND NOT from_start THEN
        from_start := true;
        SELECT c.claims, c.number, c.reached, c.walked, c.missed INTO claims, claimed, reached, walked, missed
        FROM claim(
            holder, want_queues, want_limits, most, turn, tasks, tags, untagged, at, NULL,
            closed, narrow, limited
        ) AS c;
    END IF;
    IF counting THEN
        due_in := least(due_in, token_in(limited, narrow, at), CASE WHEN missed THEN 5000 END);
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
-- that have jobs from there on. A queue whose jobs have no room now counts as well.
CREATE FUNCTION "$schema".ready_queues(floors json, limited boolean) RETURNS SETOF text LANGUAGE plpgsql AS $body$
DECLARE
    last text;
BEGIN
    IF floors IS NOT NULL THEN
        RETURN QUERY SELECT key FROM json_each(floors) WHERE EXISTS (
            SELECT FROM jobs
            WHERE left(queue, 255) = left(json_each.key, 255) AND state = $queued AND NOT parked
            AND (- priority, turn, run_at, ref) >= (
                (value ->> 0)::integer, (value ->> 1)::bigint, (value ->> 2)::bigint, (value ->> 3)::bigint
            )
            AND queue = json_each.key
        ) ORDER BY key COLLATE "C";
        RETURN;
    END IF;
    SELECT least(
        (SELECT queue FROM jobs WHERE state = $queued AND NOT parked ORDER BY left(queue, 255) LIMIT 1),
        CASE WHEN limited THEN (
            SELECT queue FROM jobs WHERE state = $queued AND (parked OR turn > 0) ORDER BY left(queue, 255) LIMIT 1
        ) END
    ) INTO last;
    WHILE last IS NOT NULL LOOP
        RETURN NEXT last;
        SELECT least(
            (
                SELECT queue FROM jobs WHERE state = $queued AND NOT parked AND left(queue, 255) > left(last, 255)
                ORDER BY left(queue, 255) LIMIT 1
            ),
            CASE WHEN limited THEN (
                SELECT queue FROM jobs
                WHERE state = $queued AND (parked OR turn > 0) AND left(queue, 255) > left(last, 255)
                ORDER BY left(queue, 255) LIMIT 1
            ) END
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

-- Lock the limits of these keys and of those where there is more room by now, and let in what may be first. No bucket is
-- emptier than empty then.
CREATE FUNCTION "$schema".look_again(keys text[], at bigint) RETURNS void LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    touched text[] := keys || ARRAY(
        SELECT key FROM limits WHERE next_at <= at
        UNION ALL
        SELECT key FROM limits WHERE whole IS NOT NULL AND full_at - whole > at
    );
BEGIN
    IF cardinality(touched) > 0 THEN
        PERFORM lock_limits(touched);
        UPDATE limits SET full_at = at + whole WHERE whole IS NOT NULL AND full_at - whole > at;
        PERFORM admit(touched, at);
    END IF;
END
$body$;

CREATE FUNCTION "$schema".mend_queues(at bigint) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT FROM queues WHERE whole IS NOT NULL AND full_at - whole > at) THEN
        UPDATE queues SET full_at = at + whole WHERE whole IS NOT NULL AND full_at - whole > at;
    END IF;
END
$body$;

-- The span until a bucket that is empty, and that queued jobs wait for, has a token.
CREATE FUNCTION "$schema".token_in(limited boolean, narrow text[], at bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    first bigint;
BEGIN
    IF limited THEN
        first := (SELECT token_at FROM limits WHERE token_at > at ORDER BY token_at LIMIT 1);
    END IF;
    IF narrow IS NOT NULL THEN
        first := least(first, (
            SELECT min(full_at - (rate - 1) * each) FROM queues
            WHERE whole IS NOT NULL AND full_at - (rate - 1) * each > at AND (
                EXISTS (
                    SELECT FROM jobs
                    WHERE left(queue, 255) = left(name, 255) AND state = $queued AND NOT parked AND queue = name
                ) OR EXISTS (
                    SELECT FROM jobs
                    WHERE left(queue, 255) = left(name, 255) AND state = $queued AND (parked OR turn > 0) AND queue = name
                )
            )
        ));
    END IF;
    RETURN first - at;
END
$body$;

UPDATE "$schema".meta SET value = '7' WHERE name = 'schema';
