-- uses: moves workers
-- {now, known queues, paused ones, counts, lines and the earliest due time in each, workers and how many each holds,
-- limits of queues, what workers were told}. A line is sorted by priority first: its earliest is the first of one of its priorities, or, where
-- there are limits or turns, the first of its aged.
local function earliest(line)
    local name, from = key('ready', line), '-'
    local due = tonumber(redis.call('ZRANGE', key('aged', line), 0, 0, 'WITHSCORES')[2])
    while true do
        local first = redis.call('ZRANGEBYLEX', name, from, '+', 'LIMIT', 0, 1)[1]
        if not first then
            return due
        end
        local priority, _, run_at = struct.unpack(PLACE, first)
        due = math.min(due or run_at, run_at)
        from = '[' .. struct.pack('>I2', priority + 1)
    end
end

local due = {}
for _, line in ipairs(redis.call('ZRANGE', key('lines'), 0, -1)) do
    local first = earliest(line)
    if first then
        due[#due + 1] = line
        due[#due + 1] = exact(first)
    end
end
local workers = redis.call('HGETALL', key('workers'))
local running = {}
for i = 1, #workers, 2 do
    running[#running + 1] = redis.call('HLEN', key('held', workers[i]))
end
return {
    exact(now), redis.call('SMEMBERS', key('queues')), redis.call('HKEYS', key('paused')),
    redis.call('HGETALL', key('counts')), due, workers, running, redis.call('HGETALL', key('shaped')),
    redis.call('HGETALL', key('commands')),
}
