-- uses: ask
-- Pieces of what a job's attempts logged, in order, each followed by its fence.
return redis.call('ZRANGE', key('log', ask.id), 0, -1, 'WITHSCORES')
