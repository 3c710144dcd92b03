-- seldom uses: moves
-- Turns in fair queues. Of each, `first` has the queued jobs by turn, and `last` by whose they are and by turn.

-- Whose turn the job takes: of its owner or its share; those without are together.
local function whose(id, fair)
    local tied = ties_of(id)
    local name = fair == BY_OWNER and tied.owner or fair == BY_SHARE and tied.share
    return name and 'o' .. name or 'n'
end

-- The turns of a queue that new ones go by: the lowest of all, and the highest of each whose turn is asked for.
local lowest, highest = {}, {}

local function lowest_in(queue)
    if not lowest[queue] then
        local entry = redis.call('ZRANGEBYLEX', key('first', queue), '-', '+', 'LIMIT', 0, 1)[1]
        lowest[queue] = entry and (struct.unpack('>I6', entry)) or 0
    end
    return lowest[queue]
end

local function highest_of(queue, label)
    local known = highest[queue][label]
    if not known then
        local least, most = '[' .. label .. '\0', '(' .. label .. '\1'
        local entry = redis.call('ZREVRANGEBYLEX', key('last', queue), most, least, 'LIMIT', 0, 1)[1]
        known = entry and (struct.unpack('>I6', entry, #label + 2)) or -1
    end
    return known
end

-- Queue these jobs, in this order; whatever leaves the queue has left.
local function give_turns(ids)
    lowest, highest = {}, {}
    for _, id in ipairs(ids) do
        local job = jobs[id]
        if job and job[STATE] == QUEUED and not has(job, TURNED) then
            local queue = queue_of(job[LINE])
            highest[queue] = highest[queue] or {}
            local label = whose(id, shape_of(job[LINE])[FAIR])
            local turn = math.max(highest_of(queue, label) + 1, lowest_in(queue))
            highest[queue][label] = turn
            local packed = struct.pack('>I6', turn)
            note('HSET', key('turn'), id, packed .. label)
            note('ZADD', key('first', queue), '0', packed .. number_of(job[REF]))
            note('ZADD', key('last', queue), '0', label .. '\0' .. packed .. number_of(job[REF]))
            job.turn, job.whose = turn, label
            mark(job, TURNED, true)
            changed[id] = true
            step_in(id, job)
        end
    end
end
