-- uses: wake
if ask.paused then
    redis.call('HSET', key('paused'), ask.queue, 1)
else
    redis.call('HDEL', key('paused'), ask.queue)
    wake()
end
redis.call('SADD', key('queues'), ask.queue)
