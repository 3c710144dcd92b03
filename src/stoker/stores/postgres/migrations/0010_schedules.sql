-- Schedules and locks.

-- Write schedules, each if its version is the present one, with their jobs; gives whether each was written.
-- An element of `puts`: name, document, next_at, version, jobs, whether these are related to others.
CREATE FUNCTION "$schema".put_schedules(puts json, instant bigint) RETURNS boolean[] LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    at CONSTANT bigint := present(instant);
    put record;
    written boolean[] := '{}';
BEGIN
    PERFORM s.name FROM (
        SELECT DISTINCT (p ->> 0) COLLATE "C" AS name FROM json_array_elements(puts) AS p ORDER BY name
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT name FROM schedules WHERE left(name, 255) = left(wanted.name, 255) AND name = wanted.name FOR NO KEY UPDATE
    ) AS s;
    FOR put IN
        SELECT p ->> 0 AS name, p ->> 1 AS document, (p ->> 2)::bigint AS next_at, (p ->> 3)::bigint AS version,
            p -> 4 AS jobs, (p ->> 5)::boolean AS related
        FROM json_array_elements(puts) WITH ORDINALITY AS asked (p, n) ORDER BY n
    LOOP
        IF put.version = 0 THEN
            INSERT INTO schedules (name, document, next_at, version) VALUES (put.name, put.document, put.next_at, 1)
            ON CONFLICT DO NOTHING;
        ELSE
            UPDATE schedules SET document = put.document, next_at = put.next_at, version = version + 1
            WHERE left(name, 255) = left(put.name, 255) AND name = put.name AND version = put.version;
        END IF;
        written := written || FOUND;
        IF FOUND AND json_array_length(put.jobs) > 0 THEN
            PERFORM insert_jobs(put.jobs, put.related, at);
        END IF;
    END LOOP;
    RETURN written;
END
$body$;

-- Give a lock to a holder, if it is free or his; gives his token (or none), and the span until it is free.
CREATE FUNCTION "$schema".acquire_lock(
    wanted text, asker text, ttl bigint, instant bigint, OUT given bigint, OUT free_in bigint
) LANGUAGE plpgsql
SET search_path = "$schema", pg_temp
AS $body$
#variable_conflict use_column
DECLARE
    at CONSTANT bigint := present(instant);
    held record;
BEGIN
    LOOP
        SELECT token, holder, until INTO held FROM locks
        WHERE left(name, 255) = left(wanted, 255) AND name = wanted FOR NO KEY UPDATE;
        IF FOUND THEN
            EXIT;
        END IF;
        INSERT INTO locks (name, holder, token, until) VALUES (wanted, asker, nextval('lock_tokens'), at + ttl)
        ON CONFLICT DO NOTHING RETURNING token, ttl INTO given, free_in;
        IF FOUND THEN
            RETURN;
        END IF;
    END LOOP;
    IF held.until > at AND held.holder <> asker THEN
        free_in := held.until - at;
        RETURN;
    END IF;
    UPDATE locks SET
        holder = asker, until = at + ttl,
        token = CASE WHEN held.until > at THEN token ELSE nextval('lock_tokens') END
    WHERE left(name, 255) = left(wanted, 255) AND name = wanted
    RETURNING token, ttl INTO given, free_in;
END
$body$;

UPDATE "$schema".meta SET value = '10' WHERE name = 'schema';
