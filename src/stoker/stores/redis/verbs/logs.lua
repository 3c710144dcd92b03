-- uses: ask
-- Pieces of what a job's attempts logged, in order.
return redis.call('ZRANGE', key('log', ask.id), 0, -1)
