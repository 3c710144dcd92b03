-- uses: stand workers
-- {now, known queues, paused ones, counts, lines and the earliest due time in each, workers and how many each holds}.
-- A line is sorted by priority first: its earliest is the first of one of its priorities.
local function earliest(line)
    local name, from, due = key('ready', line), '-', nil
    while true do
        local first = redis.call('ZRANGEBYLEX', name, from, '+', 'LIMIT', 0, 1)[1]
        if not first then
            return due
        end
        local priority, run_at = struct.unpack('>I2I8', first)
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
    redis.call('HGETALL', key('counts')), due, workers, running,
}
