-- What attempts logged. Statements as in `statements.sql`; `said` is an array of refs, fences and texts.

-- name: log
-- Only who holds the claim is heard.
INSERT INTO stoker_logs (job, fence, attempt, size, text)
SELECT job.ref, job.fence, job.attempt, length(json_extract(one.value, '$[2]')), json_extract(one.value, '$[2]')
FROM json_each(:said) AS one CROSS JOIN stoker_jobs AS job
WHERE job.ref = json_extract(one.value, '$[0]') AND job.fence = json_extract(one.value, '$[1]') AND job.state = $processing

-- name: trim_logs
-- Pieces behind which enough was said since, and those of attempts that are too long ago.
DELETE FROM stoker_logs WHERE number IN (
    SELECT number FROM (
        SELECT log.number, sum(log.size) OVER (PARTITION BY log.job, log.fence ORDER BY log.number DESC) - log.size AS later
        FROM json_each(:said) AS one CROSS JOIN stoker_logs AS log
        WHERE log.job = json_extract(one.value, '$[0]') AND log.fence = json_extract(one.value, '$[1]')
    ) WHERE later >= :longest
    UNION ALL
    SELECT log.number FROM json_each(:said) AS one CROSS JOIN stoker_logs AS log
    WHERE log.job = json_extract(one.value, '$[0]') AND log.fence <= json_extract(one.value, '$[1]') - :kept
)

-- name: drop_logs
DELETE FROM stoker_logs WHERE job IN (SELECT value FROM json_each(:refs))

-- name: logs
SELECT log.fence, log.attempt, log.text FROM stoker_jobs AS job CROSS JOIN stoker_logs AS log
WHERE job.id = :id AND log.job = job.ref ORDER BY log.fence, log.number
