-- uses: moves
local pruned = 0
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', key('ended'), '-inf', now, 'LIMIT', 0, ask.limit)) do
    local id = id_in(entry, 8)
    local text = redis.call('HGET', record(id), 's')
    if text then
        delete(id, read(text))
        pruned = pruned + 1
    else
        note('ZREM', key('ended'), entry)
    end
end
flush()
return pruned
