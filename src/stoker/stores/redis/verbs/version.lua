-- uses: ask
return redis.call('GET', key('schema'))
