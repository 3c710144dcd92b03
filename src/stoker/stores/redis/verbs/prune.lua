-- uses: moves
local over = redis.call('ZRANGEBYSCORE', key('ended'), '-inf', exact(now), 'LIMIT', 0, ask.limit)
local ids = {}
for i, entry in ipairs(over) do
    ids[i] = string.sub(entry, 9)
end
load(ids)
local pruned = 0
for i, id in ipairs(ids) do
    if jobs[id] then
        delete(id, jobs[id])
        pruned = pruned + 1
    else
        note('ZREM', key('ended'), over[i])
    end
end
flush()
return pruned
