-- Schedules and locks. Statements as in `statements.sql`.

-- name: make_schedule
INSERT INTO stoker_schedules (name, document, next_at, version) VALUES (:name, :document, :next_at, 1)
ON CONFLICT DO NOTHING

-- name: write_schedule
UPDATE stoker_schedules SET document = :document, next_at = :next_at, version = version + 1
WHERE name = :name AND version = :version

-- name: drop_schedule
DELETE FROM stoker_schedules WHERE name = :name

-- name: schedules
SELECT name, document, next_at, version FROM stoker_schedules ORDER BY name

-- name: named_schedules
SELECT name, document, next_at, version FROM stoker_schedules
WHERE name IN (SELECT value FROM json_each(:names)) ORDER BY name

-- name: due_schedules
SELECT name, document, next_at, version FROM stoker_schedules WHERE next_at <= :now ORDER BY next_at, name LIMIT :limit

-- name: next_tick
SELECT min(next_at) FROM stoker_schedules WHERE next_at IS NOT NULL

-- name: free_lock
DELETE FROM stoker_locks WHERE name = :name AND until <= :now

-- name: lock
SELECT holder, token, until FROM stoker_locks WHERE name = :name

-- name: take_lock
INSERT INTO stoker_locks (name, holder, until) VALUES (:name, :holder, :until) RETURNING token

-- name: renew_lock
UPDATE stoker_locks SET until = :until WHERE name = :name AND token = :token AND until > :now

-- name: release_lock
DELETE FROM stoker_locks WHERE name = :name AND token = :token AND until > :now

-- name: forget_locks
DELETE FROM stoker_locks WHERE until <= :now
