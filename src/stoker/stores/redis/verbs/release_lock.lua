-- uses: locking
local held = holder_of(ask.name)
if not held or held.token ~= ask.token then
    return 0
end
redis.call('HDEL', key('locks'), ask.name)
redis.call('ZREM', key('locked'), ask.name)
return 1
