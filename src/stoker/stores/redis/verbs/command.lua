-- uses: workers
if not is_alive(ask.worker) then
    return 0
end
if ask.command then
    redis.call('HSET', key('commands'), ask.worker, ask.command)
else
    redis.call('HDEL', key('commands'), ask.worker)
end
return 1
