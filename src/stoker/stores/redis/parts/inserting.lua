-- uses: making guards wake
-- Jobs that are asked for: {id, line, priority, delay, run_at, max_attempts, max_crashes, keep_for, owner, key, tags,
-- workflow, parents, policy, extends, limit, share, guard}, each with its facts as the client packed them.
local added = {} -- ids that `extends` added, by the job that waits for them

local function extend(extended, id)
    if not children[extended] then
        flush() -- there may be some that this script made
    end
    load(children_of(extended))
    for _, child in ipairs(children_of(extended)) do
        if child ~= id then -- one may wait for what it extends
            link(id, child)
            touch(child, jobs[child])
            added[child] = added[child] or {}
            table.insert(added[child], id)
        end
    end
end

local function write_added()
    if next(added) then
        flush() -- those that wait may have been made by this very script
    end
    for child, ids in pairs(added) do
        redis.call('HSET', PARENTS, child, redis.call('HGET', PARENTS, child) .. '\0' .. table.concat(ids, '\0'))
    end
    added = {}
end

-- Of its parents, those that a new job waits for, and whether one ended badly.
local function open_among(id, parents, policy)
    local open, seen, failed = {}, {}, false
    for _, parent in ipairs(parents) do
        local job = jobs[parent]
        if job and parent ~= id and not seen[parent] then
            seen[parent] = true
            local bad = job[STATE] == FAILED or job[STATE] == CANCELLED
            failed = failed or bad
            if not is_final(job[STATE]) or bad and policy == HOLD then
                open[#open + 1] = parent
            end
        end
    end
    return open, failed
end

-- Where a new job begins: its state, and its error where that is an end.
local function join(id, job, parents)
    local policy = policy_of(job)
    local open, failed = open_among(id, parents, policy)
    if failed and policy == CANCEL then
        return CANCELLED, PARENT_FAILED
    end
    mark(job, SOURED, failed and policy ~= HOLD)
    for _, parent in ipairs(open) do
        link(parent, id)
    end
    if #open > 0 then
        return WAITING
    end
    return place_of(job)
end

local function in_the_way_of(new, tied, packed)
    local id, extends, guard = new[1], new[15], new[18]
    if jobs[id] then
        return id
    end
    local extended = extends and jobs[extends]
    if extends and not (extended and extended[STATE] == PROCESSING) then
        return ''
    end
    local other = in_the_way(id, tied, true)
    if guard and not other then
        guards()
        return in_place_of(guard, packed)
    end
    return other
end

-- Make a job; or else the id of the one because of which it is not made.
local function insert(new, packed, ref)
    local id, line, priority, delay, run_at, max_attempts, max_crashes, keep_for = unpack(new, 1, 8)
    local parents, policy, extends, limit, guard = new[13], new[14], new[15], new[16], new[18]
    local tied = {
        owner = new[9], key = new[10], tags = new[11], workflow = new[12], limit = limit and limit[1], share = new[17],
    }
    local other = in_the_way_of(new, tied, packed)
    if other then
        return other
    end
    run_at = guard and guard[3] and now + guard[2] or run_at or now + delay
    local job = {
        run_at > now and SCHEDULED or QUEUED, policy * 8192, priority, 0, 0, 0, max_attempts, max_crashes,
        ref, keep_for, run_at, now, now, 0, 0, '', line,
    }
    local why
    if parents or extends then
        family()
    end
    if parents then
        job[STATE], why = join(id, job, parents)
    end
    if why then
        job[FINISHED] = now
        mark(job, ERRED, true)
        note('HSET', ERRORS, id, why)
    end
    make(id, job, packed, tied, parents)
    if limit then
        buckets()
        limits()
        put_limit(limit)
    end
    if guard then
        put_guard(guard, id)
    end
    if extends then
        extend(extends, id)
    end
    if why then
        over(id, job, false)
        conclude_ends()
    end
end

-- Make these jobs; pairs of the number of one that is not made and the id of the one in its way.
local function insert_all(news, first)
    local ids, others = {}, {}
    for _, new in ipairs(news) do
        ids[#ids + 1] = new[1]
        ids[#ids + 1] = new[15]
        for _, parent in ipairs(new[13] or {}) do
            ids[#ids + 1] = parent
        end
    end
    load(ids)
    local last = redis.call('INCRBY', key('serial'), #news)
    for i, new in ipairs(news) do
        local other = insert(new, attached(first + i - 1), last - #news + i)
        if other then
            others[#others + 1] = i - 1
            others[#others + 1] = other
        end
    end
    if #others < 2 * #news then
        freed = true
    end
    return others
end
