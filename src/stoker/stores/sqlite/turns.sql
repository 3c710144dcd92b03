-- Turns in fair queues. Statements as in `statements.sql`.

-- name: limit_queue
INSERT INTO stoker_queues (name, concurrency, rate, period, fair) VALUES (:queue, :concurrency, :rate, :period, :fair)
ON CONFLICT (name) DO UPDATE SET
    concurrency = excluded.concurrency, rate = excluded.rate, period = excluded.period, fair = excluded.fair

-- name: fair_queue
-- Between whom turns are taken in it, and whether any other queue is fair.
SELECT (SELECT fair FROM stoker_queues WHERE name = :queue),
    EXISTS (SELECT 1 FROM stoker_queues WHERE name <> :queue AND fair IS NOT NULL)

-- name: end_turns
UPDATE stoker_jobs SET turn = 0 WHERE ref IN (SELECT job FROM stoker_turns WHERE queue = :queue)

-- name: forget_turns
DELETE FROM stoker_turns WHERE queue = :queue

-- name: deal_turns
-- As if all were queued anew, in the order in which they stand without turns.
INSERT INTO stoker_turns (job, queue, lane, turn)
SELECT ref, :queue, lane, row_number() OVER (PARTITION BY lane ORDER BY priority DESC, run_at, ref) - 1 FROM (
    SELECT ref, coalesce('=' || iif(:fair = 'owner', owner, share), '') AS lane, priority, run_at
    FROM stoker_jobs WHERE queue = :queue AND state = $queued
    UNION ALL
    SELECT ref, coalesce('=' || iif(:fair = 'owner', owner, share), ''), priority, run_at
    FROM stoker_jobs WHERE queue = :queue AND state = $parked AND limit_key IS NOT NULL
)

-- name: begin_turns
UPDATE stoker_jobs SET turn = (SELECT turn FROM stoker_turns WHERE job = ref)
WHERE ref IN (SELECT job FROM stoker_turns WHERE queue = :queue)

-- name: make_turns_new
-- Turns are given by triggers, which are there only while a queue is fair: so they cost the others nothing, and no verb
-- can forget them. Whoever is queued gets the turn after the last of its lane, but none that is past already.
CREATE TRIGGER IF NOT EXISTS stoker_turns_new AFTER INSERT ON stoker_jobs
WHEN NEW.state IN ($queued, $parked) AND NEW.queue IN (SELECT name FROM stoker_queues WHERE fair IS NOT NULL)
BEGIN
    INSERT INTO stoker_turns (job, queue, lane, turn)
    SELECT NEW.ref, NEW.queue, own.lane, max(
        coalesce((SELECT max(turn) + 1 FROM stoker_turns WHERE queue = NEW.queue AND lane = own.lane), 0),
        coalesce((SELECT min(turn) FROM stoker_turns WHERE queue = NEW.queue), 0)
    ) FROM (
        SELECT coalesce('=' || iif(fair = 'owner', NEW.owner, NEW.share), '') AS lane
        FROM stoker_queues WHERE name = NEW.queue
    ) AS own;
    UPDATE stoker_jobs SET turn = (SELECT turn FROM stoker_turns WHERE job = NEW.ref) WHERE ref = NEW.ref;
END

-- name: make_turns_again
CREATE TRIGGER IF NOT EXISTS stoker_turns_again AFTER UPDATE OF state ON stoker_jobs
WHEN NEW.state IN ($queued, $parked) AND OLD.state NOT IN ($queued, $parked)
AND NEW.queue IN (SELECT name FROM stoker_queues WHERE fair IS NOT NULL)
BEGIN
    INSERT INTO stoker_turns (job, queue, lane, turn)
    SELECT NEW.ref, NEW.queue, own.lane, max(
        coalesce((SELECT max(turn) + 1 FROM stoker_turns WHERE queue = NEW.queue AND lane = own.lane), 0),
        coalesce((SELECT min(turn) FROM stoker_turns WHERE queue = NEW.queue), 0)
    ) FROM (
        SELECT coalesce('=' || iif(fair = 'owner', NEW.owner, NEW.share), '') AS lane
        FROM stoker_queues WHERE name = NEW.queue
    ) AS own;
    UPDATE stoker_jobs SET turn = (SELECT turn FROM stoker_turns WHERE job = NEW.ref) WHERE ref = NEW.ref;
END

-- name: make_turns_over
CREATE TRIGGER IF NOT EXISTS stoker_turns_over AFTER UPDATE OF state ON stoker_jobs
WHEN OLD.state IN ($queued, $parked) AND NEW.state NOT IN ($queued, $parked)
AND NEW.queue IN (SELECT name FROM stoker_queues WHERE fair IS NOT NULL)
BEGIN
    DELETE FROM stoker_turns WHERE job = NEW.ref;
    UPDATE stoker_jobs SET turn = 0 WHERE ref = NEW.ref;
END

-- name: make_turns_gone
CREATE TRIGGER IF NOT EXISTS stoker_turns_gone AFTER DELETE ON stoker_jobs
BEGIN
    DELETE FROM stoker_turns WHERE job = OLD.ref;
END

-- name: drop_turns_new
DROP TRIGGER IF EXISTS stoker_turns_new

-- name: drop_turns_again
DROP TRIGGER IF EXISTS stoker_turns_again

-- name: drop_turns_over
DROP TRIGGER IF EXISTS stoker_turns_over

-- name: drop_turns_gone
DROP TRIGGER IF EXISTS stoker_turns_gone
