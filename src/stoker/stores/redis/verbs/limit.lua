-- uses: closing wake
-- Let so much through a queue. Where turns are taken between others than before, every queued job is taken out of its
-- line and put in again: of 20,000 that takes a second, in which the server does nothing else. Of more than `ask.most`
-- nothing is done; how many there are is returned.
local queue = ask.queue
local before = all_shapes()[queue] or {-1, 0, 0, 0, 0}

local function number_queued()
    local number = 0
    for _, line in ipairs(redis.call('ZRANGEBYLEX', key('lines'), '[' .. queue .. '\0', '(' .. queue .. '\1')) do
        number = number + (tonumber(redis.call('HGET', key('counts'), QUEUED .. line)) or 0)
    end
    return number
end

if (ask.fair or 0) ~= before[FAIR] then
    local number = number_queued()
    if number > ask.most then
        return number
    end
end
local shape = {ask.concurrency or -1, 0, 0, before[FULL_AT], ask.fair or 0}
if ask.rate and ask.period then
    shape[RATE], shape[PERIOD] = ask.rate, ask.period
end
keep_shape(queue, shape)
redis.call('SADD', key('queues'), queue)

-- Count those that are processed now.
local function count_busy()
    redis.call('UNLINK', key('busy_in', queue))
    for _, name in ipairs(redis.call('SMEMBERS', key('holders'))) do
        local ids = redis.call('HVALS', key('held', name))
        load(ids)
        for _, id in ipairs(ids) do
            local job = jobs[id]
            if job and job[STATE] == PROCESSING and queue_of(job[LINE]) == queue then
                note('SADD', key('busy_in', queue), number_of(job[REF]))
                mark(job, COUNTED, true)
                changed[id] = true
            end
        end
    end
end

local function queued_ids()
    local ids = {}
    local seen = {}
    local least, most = '[' .. queue .. '\0', '(' .. queue .. '\1'
    for _, line in ipairs(redis.call('ZRANGEBYLEX', key('lines'), least, most)) do
        for _, entry in ipairs(redis.call('ZRANGE', key('ready', line), 0, -1)) do
            seen[id_in(entry)] = true
        end
        for _, entry in ipairs(redis.call('ZRANGE', key('aged', line), 0, -1)) do
            seen[string.sub(entry, 9)] = true
        end
    end
    for id in pairs(seen) do
        ids[#ids + 1] = id
    end
    load(ids)
    return ids
end

local function is_sooner(one, other)
    local a, b = jobs[one], jobs[other]
    if a[PRIORITY] ~= b[PRIORITY] then
        return a[PRIORITY] > b[PRIORITY]
    elseif a[RUN_AT] ~= b[RUN_AT] then
        return a[RUN_AT] < b[RUN_AT]
    end
    return a[REF] < b[REF]
end

local function take_turns()
    local ids = {}
    for _, id in ipairs(queued_ids()) do
        local job = jobs[id]
        if job and job[STATE] == QUEUED then
            step_out(id, job)
            turn_over(id, job)
            changed[id] = true
            ids[#ids + 1] = id
        end
    end
    write()
    table.sort(ids, is_sooner)
    shapes, shape_of_line = nil, {}
    if shape[FAIR] ~= 0 then
        turns()
        give_turns(ids)
    else
        for _, id in ipairs(ids) do
            step_in(id, jobs[id])
        end
    end
end

if shape[CONCURRENCY] >= 0 and before[CONCURRENCY] < 0 then
    count_busy()
end
if shape[FAIR] ~= before[FAIR] then
    take_turns()
end
close()
wake()
return 0
