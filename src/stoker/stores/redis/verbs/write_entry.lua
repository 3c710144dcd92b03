-- uses: ask
-- An entry of the audit log: its instant, and what the client packed.
if redis.call('HEXISTS', key('entries'), ask.id) == 0 then
    local at = struct.pack('>i8', now)
    redis.call('HSET', key('entries'), ask.id, at .. attached(1))
    redis.call('ZADD', key('audit'), '0', ask.id .. '\0' .. at)
end
