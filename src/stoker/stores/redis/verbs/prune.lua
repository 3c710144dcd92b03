-- uses: guards closing forgetting
-- Delete jobs whose time is over, up to `ask.limit`, looking at no more than `ask.look`; and forget what is too old.
-- Those of a workflow that is under way are put aside, until its last one has ended. Answers {how many, whether there
-- may be more}.
local under_way = {}
local function stays(id, job)
    if not has(job, FLOWING) then
        return false
    end
    local workflow = ties_of(id).workflow
    if under_way[workflow] == nil then
        flowing()
        under_way[workflow] = is_under_way(workflow) or false
    end
    return under_way[workflow]
end

local function put_aside(id, job)
    note('ZREM', key('ended'), numbered(id, job))
    note('ZADD', key('stayed', ties_of(id).workflow), exact(job[FINISHED] + job[KEEP_FOR]), numbered(id, job))
end

local over_now = redis.call('ZRANGEBYSCORE', key('ended'), '-inf', exact(now), 'LIMIT', 0, ask.look)
local ids = {}
for i, entry in ipairs(over_now) do
    ids[i] = string.sub(entry, 9)
end
load(ids)
local pruned = 0
for i, id in ipairs(ids) do
    local job = jobs[id]
    if pruned == ask.limit then
        break
    elseif not job then
        note('ZREM', key('ended'), over_now[i])
    elseif stays(id, job) then
        put_aside(id, job)
    else
        delete(id, job)
        pruned = pruned + 1
    end
end
guards()
forget_guards(1000)
forget_locks(1000)
forget_tallies()
forget_entries(1000)
close()
return {pruned, #ids == ask.look and 1 or 0}
