-- uses: ask
-- `ask.tallies`: each {queue, completed, failed, retried, cancelled}, to be added to the present minute's.
local MINUTE = 60000000
local NUMBERS = '>I4I4I4I4'
local minute = struct.pack('>I8', now - now % MINUTE)
for _, tally in ipairs(ask.tallies) do
    local queue, completed, failed, retried, cancelled = unpack(tally, 1, 5)
    local name = minute .. queue .. '\0'
    local least, most = '[' .. name, '(' .. minute .. queue .. '\1'
    local entry = redis.call('ZRANGEBYLEX', key('tallies'), least, most, 'LIMIT', 0, 1)[1]
    if entry then
        local a, b, c, d = struct.unpack(NUMBERS, entry, #name + 1)
        completed, failed, retried, cancelled = completed + a, failed + b, retried + c, cancelled + d
        redis.call('ZREM', key('tallies'), entry)
    end
    redis.call('ZADD', key('tallies'), '0', name .. struct.pack(NUMBERS, completed, failed, retried, cancelled))
end
