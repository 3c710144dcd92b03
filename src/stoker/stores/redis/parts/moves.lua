-- uses: ledger
-- Every change of a job's state goes through here, with every index that depends on it.

-- A job's place in its line, and then its id: bytes that sort by priority (high first), due time and insertion.
local function ticket(id, job, tags)
    local place = struct.pack('>I2I8I8', 1000 - job[PRIORITY], math.max(0, job[RUN_AT]), job[REF])
    if not has(job, TAGGED) then
        return place .. id
    end
    tags = tags or facts_of(id)[TAGS]
    return place .. id .. '\0' .. table.concat(tags, '\0')
end

-- A job's number as bytes: they sort as the numbers do, and are made sooner than digits.
local function number_of(ref)
    return struct.pack('>I8', ref)
end

-- An entry of an index by time: jobs of one instant stand in the order of insertion.
local function numbered(id, job)
    return number_of(job[REF]) .. id
end

local function id_in(entry, head)
    local stop = string.find(entry, '\0', head + 1, true)
    return string.sub(entry, head + 1, stop and stop - 1)
end

local function leave(id, job)
    local state = job[STATE]
    count(job, -1)
    if state == QUEUED then
        note('ZREM', key('ready', job[LINE]), ticket(id, job))
        thinned[job[LINE]] = true
    elseif state == SCHEDULED then
        note('ZREM', key('due'), numbered(id, job))
    elseif state == PROCESSING then
        note('HDEL', key('held', job[WORKER]), number_of(job[REF]))
        if has(job, ASKED) then
            note('HDEL', key('asked', job[WORKER]), number_of(job[REF]))
        end
    elseif is_final(state) then
        note('ZREM', key('ended'), numbered(id, job))
        if state ~= COMPLETED then
            note('ZREM', key('state', state), id)
        end
    end
end

local function enter(id, job, tags)
    local state = job[STATE]
    count(job, 1)
    if state == QUEUED then
        note('ZADD', key('ready', job[LINE]), '0', ticket(id, job, tags))
        filled[job[LINE]] = true
    elseif state == SCHEDULED then
        note('ZADD', key('due'), exact(job[RUN_AT]), numbered(id, job))
    elseif state == PROCESSING then
        note('HSET', key('held', job[WORKER]), number_of(job[REF]), id)
        if has(job, ASKED) then
            note('HSET', key('asked', job[WORKER]), number_of(job[REF]), job[FENCE])
        end
    elseif is_final(state) then
        note('ZADD', key('ended'), exact(job[FINISHED] + job[KEEP_FOR]), numbered(id, job))
        if state ~= COMPLETED then
            note('ZADD', key('state', state), '0', id)
        end
    end
end

-- What an attempt said, by column.
local function say(id, job, words)
    for column, value in pairs(words) do
        note('HSET', key(column), id, value)
    end
    mark(job, SAVED, has(job, SAVED) or words.checkpoint)
end

-- To another state, and written.
local function move(id, job, state)
    leave(id, job)
    job[STATE] = state
    job[UPDATED] = now
    if is_final(state) then
        job[FINISHED] = now
        mark(job, ASKED, false)
        note('ZREM', key('live'), id)
        if has(job, KEYED) then
            note('HDEL', key('keys'), facts_of(id)[KEY])
        end
    end
    enter(id, job)
    changed[id] = true
end

-- The job and everything that speaks of it.
local function delete(id, job)
    leave(id, job)
    note('ZREM', key('ids'), id)
    local live = not is_final(job[STATE])
    if live then
        note('ZREM', key('live'), id)
    end
    if has(job, OWNED) or (live and has(job, KEYED)) then
        local facts = facts_of(id)
        if has(job, OWNED) then
            note('ZREM', key('owner', facts[OWNER]), id)
        end
        if live and has(job, KEYED) then
            note('HDEL', key('keys'), facts[KEY])
        end
    end
    for _, column in ipairs(COLUMNS) do
        note('HDEL', column, id)
    end
    jobs[id], changed[id] = false, nil
end
