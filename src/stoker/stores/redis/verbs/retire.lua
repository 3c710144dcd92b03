-- uses: ask
redis.call('HDEL', key('workers'), ask.worker)
