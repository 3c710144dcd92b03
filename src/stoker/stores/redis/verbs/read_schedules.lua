-- uses: records
-- {now, the first instant at which one is due, name and schedule one after the other}: all, those with these names, or
-- with `ask.limit` those that are due.
local names, flat = ask.names, {}
if ask.limit then
    names = redis.call('ZRANGEBYSCORE', key('ticks'), '-inf', exact(now), 'LIMIT', 0, ask.limit)
end
if names then
    for i, kept in ipairs(fetch(key('schedules'), names)) do
        if kept then
            flat[#flat + 1] = names[i]
            flat[#flat + 1] = kept
        end
    end
else
    flat = redis.call('HGETALL', key('schedules'))
end
local first = redis.call('ZRANGE', key('ticks'), 0, 0, 'WITHSCORES')[2]
return {exact(now), first and exact(tonumber(first)) or false, flat}
