-- uses: ledger shapes
-- Every change of a job's state goes through here, with every index that depends on it.

-- What of several jobs is settled when all have moved: limit keys of which a job moved, jobs that are queued in fair
-- queues and want a turn, jobs that ended or are gone while others may wait for them, and those that waited when they
-- did.
local stirred, turning, ended, parting = {}, {}, {}, {}
local freed = false -- whether there is more to claim than before

local PLACE = '>I2I6I8I8'
local PLACED = 24 -- bytes of it

-- A job's number as bytes: they sort as the numbers do, and are made sooner than digits.
local function number_of(ref)
    return struct.pack('>I8', ref)
end

-- The turn that it was given, and whose it is.
local function turn_of(id, job)
    if not job.turn then
        local kept = redis.call('HGET', key('turn'), id)
        job.turn, job.whose = 0, ''
        if kept then
            local turn, rest = struct.unpack('>I6', kept)
            job.turn, job.whose = turn, string.sub(kept, rest)
        end
    end
    return job.turn
end

-- A job's place in its line, and then its id: bytes that sort by priority (high first), turn, due time and insertion.
-- Behind them stand the tags, after a NUL each, and the limit's key, after a byte that no text has.
local function ticket(id, job)
    local turn = has(job, TURNED) and turn_of(id, job) or 0
    local place = struct.pack(PLACE, 1000 - job[PRIORITY], turn, math.max(0, job[RUN_AT]), job[REF])
    if not has(job, TAGGED + LIMITED) then
        return place .. id
    end
    local tied = ties_of(id)
    local tags = tied.tags and '\0' .. table.concat(tied.tags, '\0') or ''
    return place .. id .. tags .. (tied.limit and '\255' .. tied.limit or '')
end

-- Those of a limit key that whoever may run one of them may run: one queue, one task, the same tags.
local function group_of(id, job)
    local tied = ties_of(id)
    return tied.limit .. '\255' .. job[LINE] .. '\255' .. (tied.tags and table.concat(tied.tags, '\0') or '')
end

-- An entry of an index by time: jobs of one instant stand in the order of insertion.
local function numbered(id, job)
    return number_of(job[REF]) .. id
end

local function id_in(entry)
    local stop = string.find(entry, '\0', PLACED + 1, true) or string.find(entry, '\255', PLACED + 1, true)
    return string.sub(entry, PLACED + 1, stop and stop - 1)
end

-- Into its line. One with a limit is parked; `readmit` says how many of them are let in.
local function step_in(id, job)
    local line = job[LINE]
    filled[line] = true
    if has(job, LIMITED + TURNED) then
        note('ZADD', key('aged', line), exact(job[RUN_AT]), numbered(id, job))
    end
    if has(job, LIMITED) then
        local limit, group = ties_of(id).limit, group_of(id, job)
        stirred[limit] = true
        note('SADD', key('groups', limit), group)
        note('ZADD', key('parked', group), '0', ticket(id, job))
        note('ZADD', key('limited', line), '0', ticket(id, job))
    else
        note('ZADD', key('ready', line), '0', ticket(id, job))
    end
end

local function step_out(id, job)
    local line, entry = job[LINE], ticket(id, job)
    thinned[line] = true
    note('ZREM', key('ready', line), entry)
    if has(job, LIMITED + TURNED) then
        note('ZREM', key('aged', line), numbered(id, job))
    end
    if has(job, LIMITED) then
        local group = group_of(id, job)
        stirred[ties_of(id).limit] = true
        note('ZREM', key('parked', group), entry)
        note('ZREM', key('admitted', group), entry)
        note('ZREM', key('limited', line), entry)
    end
end

-- Its turn is over.
local function turn_over(id, job)
    if has(job, TURNED) then
        local queue, turn = queue_of(job[LINE]), struct.pack('>I6', turn_of(id, job))
        note('ZREM', key('first', queue), turn .. number_of(job[REF]))
        note('ZREM', key('last', queue), job.whose .. '\0' .. turn .. number_of(job[REF]))
        note('HDEL', key('turn'), id)
        mark(job, TURNED, false)
        job.turn = nil
    end
end

local function leave_worker(id, job)
    local number = number_of(job[REF])
    note('HDEL', key('held', job[WORKER]), number)
    if has(job, ASKED) then
        note('HDEL', key('asked', job[WORKER]), number)
    end
    if has(job, LIMITED) then
        local limit = ties_of(id).limit
        stirred[limit] = true
        note('SREM', key('busy', limit), number)
    end
    if has(job, COUNTED) then
        note('SREM', key('busy_in', queue_of(job[LINE])), number)
        mark(job, COUNTED, false)
    end
end

local function enter_worker(id, job)
    local number = number_of(job[REF])
    note('HSET', key('held', job[WORKER]), number, id)
    if has(job, ASKED) then
        note('HSET', key('asked', job[WORKER]), number, job[FENCE])
    end
    if has(job, LIMITED) then
        local limit = ties_of(id).limit
        stirred[limit] = true
        note('SADD', key('busy', limit), number)
    end
    local shape = shape_of(job[LINE])
    if shape and shape[CONCURRENCY] >= 0 then
        note('SADD', key('busy_in', queue_of(job[LINE])), number)
        mark(job, COUNTED, true)
    end
end

local function leave(id, job)
    local state = job[STATE]
    count(id, job, -1)
    if state == QUEUED then
        step_out(id, job)
        turn_over(id, job)
    elseif state == SCHEDULED then
        note('ZREM', key('due'), numbered(id, job))
    elseif state == PROCESSING then
        leave_worker(id, job)
    elseif is_final(state) then
        note('ZREM', key('ended'), numbered(id, job))
        if has(job, FLOWING) then
            note('ZREM', key('stayed', ties_of(id).workflow), numbered(id, job))
        end
        if state ~= COMPLETED then
            note('ZREM', key('state', state), id)
        end
    end
end

local function enter(id, job)
    local state = job[STATE]
    count(id, job, 1)
    if state == QUEUED then
        local shape = shape_of(job[LINE])
        if shape and shape[FAIR] ~= 0 then
            turning[#turning + 1] = id
        else
            step_in(id, job)
        end
    elseif state == SCHEDULED then
        note('ZADD', key('due'), exact(job[RUN_AT]), numbered(id, job))
    elseif state == PROCESSING then
        enter_worker(id, job)
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

-- Remember what its end means to others. `gone`: it is deleted.
local function over(id, job, gone)
    if has(job, AWAITED) then
        ended[#ended + 1] = {id = id, well = job[STATE] == COMPLETED and not gone, gone = gone}
    end
end

-- To another state, and written.
local function move(id, job, state)
    leave(id, job)
    if job[STATE] == WAITING and is_final(state) then
        parting[#parting + 1] = id
    end
    job[STATE] = state
    job[UPDATED] = now
    if is_final(state) then
        job[FINISHED] = now
        mark(job, ASKED, false)
        note('ZREM', key('live'), id)
        if has(job, KEYED) then
            note('HDEL', key('keys'), ties_of(id).key)
        end
        over(id, job, false)
    end
    enter(id, job)
    changed[id] = true
end

-- The job and everything that speaks of it.
local function delete(id, job)
    leave(id, job)
    over(id, job, true)
    if job[STATE] == WAITING then
        parting[#parting + 1] = id
    end
    note('ZREM', key('ids'), id)
    local live = not is_final(job[STATE])
    if live then
        note('ZREM', key('live'), id)
    end
    if has(job, OWNED) then
        note('ZREM', key('owner', ties_of(id).owner), id)
    end
    if live and has(job, KEYED) then
        note('HDEL', key('keys'), ties_of(id).key)
    end
    if has(job, FLOWING) then
        local workflow = ties_of(id).workflow
        note('ZREM', key('workflow', workflow), id)
        note('ZREM', key('touched', workflow), id)
        flowing()
        local flow = flow_of(workflow)
        flow.lost = math.min(flow.lost or job[CREATED], job[CREATED])
    end
    if has(job, CHILD) then
        note('HDEL', PARENTS, id)
    end
    for _, column in ipairs(COLUMNS) do
        note('HDEL', column, id)
    end
    unwanted[#unwanted + 1] = key('log', id)
    jobs[id], changed[id] = false, nil
end
