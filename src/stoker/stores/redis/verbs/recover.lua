-- uses: ending holding closing workers wake
-- Take the claims of workers that are not alive; then look whether a stretch of records stands in its indexes, and put
-- right what does not, as after a backup that was put back in part. Answers {queued, failed, where to look next}.
local lost = {}
for _, name in ipairs(redis.call('SMEMBERS', key('holders'))) do
    if not is_alive(name) then
        local held = redis.call('HGETALL', key('held', name))
        for i = 1, #held, 2 do
            lost[#lost + 1] = {(struct.unpack('>I8', held[i])), held[i + 1], name}
        end
        if #held == 0 then
            redis.call('SREM', key('holders'), name)
        end
    end
end
table.sort(lost, function(one, other) return one[1] < other[1] end)

local queued, failed = 0, 0
local function crash(id, job)
    conclude(id, job, 'crashed', {})
    queued = queued + (job[STATE] == QUEUED and 1 or 0)
    failed = failed + (job[STATE] == FAILED and 1 or 0)
end

local taken = {}
for i = 1, math.min(ask.limit, #lost) do
    taken[i] = lost[i][2]
end
load(taken)
for i, id in ipairs(taken) do
    local ref, name, job = lost[i][1], lost[i][3], jobs[id]
    if job and job[STATE] == PROCESSING and job[REF] == ref then
        crash(id, job)
    else
        note('HDEL', key('held', name), number_of(ref))
    end
end
conclude_ends()

local holding = {}
for i = ask.limit + 1, #lost do
    holding[lost[i][3]] = true
end
for _, name in ipairs(redis.call('HKEYS', key('workers'))) do
    if not is_alive(name) and not holding[name] then
        forget_worker(name)
    end
end

local function stands_in_line(id, job)
    local entry = ticket(id, job)
    local ready = redis.call('ZSCORE', key('ready', job[LINE]), entry)
    if not has(job, LIMITED) then
        return ready
    end
    local group = group_of(id, job)
    return redis.call('ZSCORE', key('limited', job[LINE]), entry) and (
        redis.call('ZSCORE', key('parked', group), entry)
        or ready and redis.call('ZSCORE', key('admitted', group), entry)
    )
end

-- Where the index of a job's state ought to have it.
local function stands(id, job)
    if job[STATE] == PROCESSING then
        local number = number_of(job[REF])
        return redis.call('HEXISTS', key('held', job[WORKER]), number) == 1
            and redis.call('SISMEMBER', key('holders'), job[WORKER]) == 1
            and not (has(job, LIMITED) and redis.call('SISMEMBER', key('busy', ties_of(id).limit), number) == 0)
    elseif job[STATE] == QUEUED then
        return stands_in_line(id, job) and redis.call('ZSCORE', key('lines'), job[LINE])
    elseif job[STATE] == SCHEDULED then
        return redis.call('ZSCORE', key('due'), numbered(id, job))
    end
    return job[STATE] == WAITING or redis.call('ZSCORE', key('ended'), numbered(id, job))
        or has(job, FLOWING) and redis.call('ZSCORE', key('stayed', ties_of(id).workflow), numbered(id, job))
end

local from = ask.from and '(' .. ask.from or '+'
local ids = redis.call('ZREVRANGEBYLEX', key('ids'), from, '-', 'LIMIT', 0, ask.look)
load(ids)
for _, id in ipairs(ids) do
    local job = jobs[id]
    if not job then
        note('ZREM', key('ids'), id)
        note('ZREM', key('live'), id)
    elseif not stands(id, job) then
        leave(id, job)
        enter(id, job) -- in all: it was counted all the time
        changed[id] = true
        if job[STATE] == PROCESSING then
            redis.call('SADD', key('holders'), job[WORKER])
        end
    end
end
close()
if queued > 0 or freed then
    wake()
end
return {queued, failed, #ids == ask.look and ids[#ids]}
