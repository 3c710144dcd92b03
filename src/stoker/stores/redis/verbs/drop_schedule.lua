-- uses: ask
redis.call('ZREM', key('ticks'), ask.name)
return redis.call('HDEL', key('schedules'), ask.name)
