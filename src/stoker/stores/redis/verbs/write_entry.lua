-- uses: ask
-- An entry of the audit log: its first instant, and what the client packed.
local known = redis.call('HGET', key('entries'), ask.id)
local at = known and string.sub(known, 1, 8) or struct.pack('>i8', now)
redis.call('HSET', key('entries'), ask.id, at .. attached(1))
if not known then
    redis.call('ZADD', key('audit'), '0', ask.id .. '\0' .. at)
end
