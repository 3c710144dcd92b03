-- uses: ask
-- The counts that are kept: state and line, and the number, one after the other.
return redis.call('HGETALL', key('counts'))
