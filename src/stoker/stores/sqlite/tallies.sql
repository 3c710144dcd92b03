-- How much was done when. Statements as in `statements.sql`.

-- name: add_tally
INSERT INTO stoker_tallies (at, queue, completed, failed, retried, cancelled) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (at, queue) DO UPDATE SET
    completed = completed + excluded.completed, failed = failed + excluded.failed,
    retried = retried + excluded.retried, cancelled = cancelled + excluded.cancelled

-- name: tallies
SELECT queue, sum(completed), sum(failed), sum(retried), sum(cancelled), at / :step * :step FROM stoker_tallies
WHERE at >= :first GROUP BY 6, queue HAVING sum(completed + failed + retried + cancelled) > 0 ORDER BY 6, queue

-- name: forget_tallies
DELETE FROM stoker_tallies WHERE at <= :before
