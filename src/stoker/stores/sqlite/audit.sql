-- Who did what. Statements as in `statements.sql`.

-- name: write_entry
INSERT INTO stoker_audit (id, who, action, target, count, detail, at)
VALUES (:id, :who, :action, :target, :count, :detail, :now)
ON CONFLICT (id) DO UPDATE SET who = excluded.who, action = excluded.action, target = excluded.target,
    count = excluded.count, detail = excluded.detail

-- name: entries
SELECT id, who, action, target, count, detail, at FROM stoker_audit ORDER BY id DESC LIMIT :limit

-- name: entries_before
SELECT id, who, action, target, count, detail, at FROM stoker_audit WHERE id < :before ORDER BY id DESC LIMIT :limit

-- name: forget_entries
DELETE FROM stoker_audit WHERE at <= :before
