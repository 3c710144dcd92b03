-- seldom uses: flushing missing
-- Who waits for whom, and what the end of a job means to those that wait for it. An entry of `edges` is a parent and its
-- child, one of `opens` a child and its open parent, with a NUL between. They are of waiting jobs only, so who waits for
-- nothing is in neither, and an entry whose child does not wait is one that was just taken away.
local EDGES, OPENS = key('edges'), key('opens')
local PARENT_FAILED = 'a job that this one waited for did not complete'
local NOT_NEEDED = 'not needed: every job that this one waited for completed'

local children, numbers = {}, {}

-- The second halves of the entries that begin with this id.
local function others_of(name, id)
    local others = {}
    for i, entry in ipairs(redis.call('ZRANGEBYLEX', name, '[' .. id .. '\0', '(' .. id .. '\1')) do
        others[i] = string.sub(entry, #id + 2)
    end
    return others
end

local function children_of(parent)
    if not children[parent] then
        children[parent] = others_of(EDGES, parent)
    end
    return children[parent]
end

-- How many open parents it has.
local function number_of_open(child)
    if not numbers[child] then
        numbers[child] = redis.call('ZLEXCOUNT', OPENS, '[' .. child .. '\0', '(' .. child .. '\1')
    end
    return numbers[child]
end

-- Have the child wait for the parent, which need not be there yet.
local function link(parent, child)
    note('ZADD', EDGES, '0', parent .. '\0' .. child)
    note('ZADD', OPENS, '0', child .. '\0' .. parent)
    numbers[child] = numbers[child] and numbers[child] + 1
    if children[parent] then
        table.insert(children[parent], child)
    end
    local job = jobs[parent]
    if not job then
        redis.call('SADD', key('missing'), parent)
        somebody_is_missed = true
    elseif not has(job, AWAITED) then
        mark(job, AWAITED, true)
        changed[parent] = true
    end
end

local function unlink(parent, child)
    note('ZREM', EDGES, parent .. '\0' .. child)
    note('ZREM', OPENS, child .. '\0' .. parent)
end

local absent = {} -- parents that are not there, of those for which somebody waits no more

-- Have it wait for nothing any more.
local function part(child)
    local parents = others_of(OPENS, child)
    load(parents)
    for _, parent in ipairs(parents) do
        unlink(parent, child)
        if not jobs[parent] then
            absent[parent] = true
        end
    end
end

-- It waits for other jobs than before.
local function touch(id, job)
    job[UPDATED] = now
    changed[id] = true
end

local function abandon(id, job, why)
    mark(job, ERRED, true)
    note('HSET', ERRORS, id, why)
    move(id, job, CANCELLED)
end

-- Where a job goes that waits for nothing any more.
local function place_of(job)
    if policy_of(job) == ONLY and not has(job, SOURED) then
        return CANCELLED, NOT_NEEDED
    end
    return job[RUN_AT] > now and SCHEDULED or QUEUED
end

local function release(id, job)
    local state, why = place_of(job)
    if why then
        abandon(id, job, why)
    else
        move(id, job, state)
        freed = true
    end
end

-- What this end means to that child.
local function tell(ending, child, job)
    local policy = policy_of(job)
    if not ending.well and (policy == CANCEL or ending.gone and policy == HOLD) then
        abandon(child, job, PARENT_FAILED)
    elseif ending.well or policy ~= HOLD then
        unlink(ending.id, child)
        numbers[child] = number_of_open(child) - 1
        mark(job, SOURED, has(job, SOURED) or not ending.well)
        touch(child, job)
        if numbers[child] == 0 then
            release(child, job)
        end
    end
end

-- Write everything, with the consequences of all ends, and theirs.
local function follow()
    flush()
    local at = 1
    while ended[at] do
        local names = children_of(ended[at].id)
        load(names)
        for _, child in ipairs(names) do
            local job = jobs[child]
            if job and job[STATE] == WAITING then
                tell(ended[at], child, job)
            end
        end
        at = at + 1
    end
    for _, child in ipairs(parting) do
        part(child)
    end
    ended, parting, children, numbers = {}, {}, {}, {}
    flush()
    for parent in pairs(absent) do
        if #children_of(parent) == 0 then
            redis.call('SREM', key('missing'), parent)
        end
    end
end
