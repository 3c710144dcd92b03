-- uses: ending holding drawing closing workers wake
-- Settle, give back what is not known, promote, claim. Answers {alive, due in, refused refs, claims}, a claim being its
-- job's id, stand, facts and checkpoint, one after the other.
local PROMOTED = 1000 -- due jobs that one exchange queues, so that a million due at once do not stop the server

-- The most frequent end of all: what `conclude` would do, without asking for what is not there. A result `null` is no
-- result, so it is not kept.
local function complete(id, job, result)
    if has(job, KEYED + ASKED + ERRED + AWAITED + LIMITED + FLOWING + COUNTED + VOID) then
        return conclude(id, job, 'completed', {result = result})
    end
    local number = number_of(job[REF])
    note('HDEL', key('held', job[WORKER]), number)
    note('ZREM', key('live'), id)
    note('ZADD', key('ended'), exact(now + job[KEEP_FOR]), number .. id)
    count(id, job, -1)
    job[STATE], job[UPDATED], job[FINISHED] = COMPLETED, now, now
    count(id, job, 1)
    changed[id] = true
    if result ~= 'null' then
        note('HSET', RESULTS, id, result)
    end
end

-- `outcomes`: ref, fence and result, one after the other; `others`: by their number, what is more than a result.
local function settle(worker, outcomes, others)
    local refs, refused = {}, {}
    for i = 1, #outcomes, 3 do
        refs[#refs + 1] = outcomes[i]
    end
    for i, id in ipairs(held_ids(worker, refs)) do
        local job = id and jobs[id]
        if not job or job[STATE] ~= PROCESSING or job[FENCE] ~= outcomes[3 * i - 1] then
            refused[#refused + 1] = outcomes[3 * i - 2]
        elseif others[i] then
            conclude(id, job, others[i].verdict, others[i])
        else
            complete(id, job, outcomes[3 * i])
        end
    end
    return refused
end

local function release_unknown(worker, known)
    local is_known = {}
    for _, ref in ipairs(known) do
        is_known[number_of(ref)] = true
    end
    local held = redis.call('HGETALL', key('held', worker))
    local ids = {}
    for i = 1, #held, 2 do
        if not is_known[held[i]] then
            ids[#ids + 1] = held[i + 1]
        end
    end
    load(ids)
    for _, id in ipairs(ids) do
        if jobs[id] and jobs[id][STATE] == PROCESSING then
            conclude(id, jobs[id], 'released', {})
        end
    end
end

local function promote()
    local due = redis.call('ZRANGEBYSCORE', key('due'), '-inf', now, 'LIMIT', 0, PROMOTED)
    local ids = {}
    for i, entry in ipairs(due) do
        ids[i] = string.sub(entry, 9)
    end
    load(ids)
    for i, entry in ipairs(due) do
        local id, job = ids[i], jobs[ids[i]]
        if job and job[STATE] == SCHEDULED then
            move(id, job, QUEUED)
        else
            note('ZREM', key('due'), entry)
        end
    end
end

-- The queues that have jobs to claim, by name, and the lines of each that this worker knows the tasks of.
local function open_queues(tasks, paused)
    local names, lines = {}, {}
    for _, line in ipairs(redis.call('ZRANGE', key('lines'), 0, -1)) do
        local stop = string.find(line, '\0', 1, true)
        local name = string.sub(line, 1, stop - 1)
        if not paused[name] then
            if not lines[name] then
                lines[name] = {}
                names[#names + 1] = name
            end
            if tasks[string.sub(line, stop + 1)] then
                table.insert(lines[name], line)
            end
        end
    end
    return names, lines
end

-- Whether an exchange finds tokens that were not there before, and buckets that a clock left emptier than empty.
local function look_at_buckets()
    if next(all_shapes()) then
        buckets()
    end
    for _, shape in pairs(all_shapes()) do
        mend(shape)
    end
    if not has_limits then
        return
    end
    buckets()
    limits()
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', key('spent'), '(' .. exact(now), '+inf')) do
        mend(limit_for(name))
        stirred[name] = true
    end
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', key('ripe'), '-inf', exact(now), 'LIMIT', 0, PROMOTED)) do
        stirred[name] = true
    end
end

local claims = {}

-- What a claim of a job means to limits and turns.
local function spend_on(id, job, packed)
    local shape = shape_of(job[LINE])
    if shape then
        spend(shape)
        shape.running = shape.running and shape.running + 1
    end
    if has(job, LIMITED + FLOWING + TURNED) then
        ties_of(id, packed)
    end
    if has(job, LIMITED + TURNED) then
        step_out(id, job)
        turn_over(id, job)
    end
    if has(job, LIMITED) then
        buckets()
        limits()
        local limit = limit_for(ties_of(id).limit)
        spend(limit)
        limit.running = limit.running and limit.running + 1
    end
end

-- Claim these, as far as they are there; how many were.
local function take(worker, ids)
    local claimed = 0
    load(ids)
    local facts = fetch(FACTS, ids)
    for i, id in ipairs(ids) do
        local job = jobs[id]
        if job and job[STATE] == QUEUED then -- else it is the ticket of a job that is gone
            if has(job, LIMITED + FLOWING + TURNED) or shape_of(job[LINE]) then
                spend_on(id, job, facts[i])
            end
            count(id, job, -1)
            job[STATE] = PROCESSING
            job[FENCE] = job[FENCE] + 1
            job[ATTEMPT] = job[ATTEMPT] + 1
            job[WORKER] = worker
            job[STARTED] = now
            job[UPDATED] = now
            enter(id, job)
            local text = written(job)
            changed[id] = text
            local last = #claims
            claims[last + 1], claims[last + 2], claims[last + 3], claims[last + 4] = id, text, facts[i],
                has(job, SAVED) and redis.call('HGET', CHECKPOINTS, id)
            claimed = claimed + 1
        end
    end
    return claimed
end

-- How many of a queue may be claimed now.
local function room_in(queue)
    local shape = all_shapes()[queue]
    if not shape then
        return ENDLESS
    end
    shape.running = shape.running or redis.call('SCARD', key('busy_in', queue))
    return room_of(shape, shape.running)
end

-- Claim up to that many of a queue; how many there were. No more at a time than are admitted of each limit.
local function claim(worker, queue, lines, wanted, room)
    if room <= 0 or not lines or #lines == 0 then
        return 0
    end
    room = math.min(room, room_in(queue))
    local claimed = 0
    while claimed < room do
        if next(stirred) and ask.limit > WINDOW then
            flush()
            buckets()
            limits()
            readmit()
        end
        local ids = draw(lines, wanted, math.min(room - claimed, WINDOW))
        local taken = take(worker, ids)
        claimed = claimed + taken
        if #ids < WINDOW then
            break
        end
    end
    return claimed
end

local function claim_in_turns(worker, names, lines, wanted, room, turn)
    local left = room
    local function nth(i)
        local name = names[(turn + i) % #names + 1]
        return name, lines[name]
    end
    for i = 0, #names - 1 do -- an even share each …
        local name, its = nth(i)
        left = left - claim(worker, name, its, wanted, math.ceil(left / (#names - i)))
    end
    for i = 0, #names - 1 do -- … and what others left
        local name, its = nth(i)
        left = left - claim(worker, name, its, wanted, left)
    end
    return room - left
end

-- Whether a ticket's tags let it through (see `Routing`).
local function routed(tags, untagged)
    return function(member)
        local start = string.find(member, '\0', PLACED + 1, true)
        if not start then
            return untagged
        end
        local stop = string.find(member, '\255', start, true)
        local own = string.sub(member, start, stop and stop - 1) .. '\0'
        for _, tag in ipairs(tags) do
            if string.find(own, '\0' .. tag .. '\0', 1, true) then
                return true
            end
        end
        return false
    end
end

-- Write what was spent of the queues' buckets; the first instant at which one has a token for which jobs wait.
local function close_buckets()
    local first
    for queue, shape in pairs(all_shapes()) do
        if shape.spent then
            keep_shape(queue, shape)
        end
        local instant = shape[RATE] > 0 and tokens_at(shape, 1)
        if instant and instant > now and instant < (first or ENDLESS) then
            local least, most = '[' .. queue .. '\0', '(' .. queue .. '\1'
            if #redis.call('ZRANGEBYLEX', key('lines'), least, most, 'LIMIT', 0, 1) > 0 then
                first = instant
            end
        end
    end
    return first
end

-- The span until something is due: a scheduled job, or a token for which jobs wait.
local function due_in(instant)
    local first = redis.call('ZRANGE', key('due'), 0, 0, 'WITHSCORES')[2]
    first = first and math.max(now, first)
    if has_limits then
        local after = '(' .. exact(now)
        local token = redis.call('ZRANGEBYSCORE', key('thirsty'), after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        first = token[2] and math.min(first or ENDLESS, token[2]) or first
    end
    first = instant and math.min(first or ENDLESS, instant) or first
    return first and exact(first - now) or false
end

local worker = ask.worker
local refused = settle(worker, ask.outcomes, ask.others)
if ask.known then
    release_unknown(worker, ask.known)
end
if #ended > 0 or #parting > 0 or #turning > 0 then
    conclude_ends()
end
promote()
flush()
look_at_buckets()
if next(stirred) then
    buckets()
    limits()
    readmit()
end

local alive = is_alive(worker)
local room = ask.limit
if alive and #ask.wants > 0 then
    local tasks, paused = {}, {}
    for _, task in ipairs(ask.tasks) do
        tasks[task] = true
    end
    for _, name in ipairs(redis.call('HKEYS', key('paused'))) do
        paused[name] = true
    end
    local names, lines = open_queues(tasks, paused)
    local wanted = ask.tags and routed(ask.tags, ask.untagged)
    for _, want in ipairs(ask.wants) do
        local queue, limit = want[1], math.min(want[2], room)
        if queue then
            room = room - claim(worker, queue, lines[queue], wanted, limit)
        elseif #names > 0 then
            room = room - claim_in_turns(worker, names, lines, wanted, limit, ask.turn)
        end
    end
    if #claims > 0 then
        redis.call('SADD', key('holders'), worker)
    end
end
close()
local due = due_in(close_buckets())
if freed then
    wake()
end
if alive and #ask.wants > 0 and room > 0 then
    doze()
end
return {alive and 1 or 0, due, refused, claims}
