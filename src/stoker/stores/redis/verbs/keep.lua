-- uses: ask
local kept = redis.call('HGET', key('kept'), ask.name)
if not kept then
    kept = ask.value
    redis.call('HSET', key('kept'), ask.name, kept)
end
return kept
