-- uses: ending holding workers wake
-- Settle, give back what is not known, promote, claim. Answers {alive, due in, refused refs, claims}, a claim being its
-- job's id, stand, facts and checkpoint, one after the other.
local PROMOTED = 1000 -- due jobs that one exchange queues, so that a million due at once do not stop the server

-- The most frequent end of all: what `conclude` would do, without asking for what is not there. A result `null` is no
-- result, so it is not kept.
local function complete(id, job, result)
    if has(job, KEYED + ASKED + ERRED) then
        return conclude(id, job, 'completed', {result = result})
    end
    local number = number_of(job[REF])
    note('HDEL', key('held', job[WORKER]), number)
    note('ZREM', key('live'), id)
    note('ZADD', key('ended'), exact(now + job[KEEP_FOR]), number .. id)
    count(job, -1)
    job[STATE], job[UPDATED], job[FINISHED] = COMPLETED, now, now
    count(job, 1)
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

-- The next jobs of one line that this worker may run, read a stretch at a time.
local function reader(line, wanted, size)
    local members, at, read_so_far = {}, 0, 0
    local self = {line = line}
    function self.advance()
        repeat
            at = at + 1
            if not members[at] then
                members = redis.call('ZRANGE', key('ready', line), read_so_far, read_so_far + size - 1)
                read_so_far = read_so_far + #members
                at = 1
            end
            self.member = members[at]
        until not self.member or not wanted or wanted(self.member)
    end
    self.advance()
    return self
end

local function is_before(one, other)
    local a, b, c = struct.unpack('>I2I8I8', one)
    local x, y, z = struct.unpack('>I2I8I8', other)
    if a ~= x then
        return a < x
    elseif b ~= y then
        return b < y
    end
    return c < z
end

-- The first jobs of a line; their tickets are taken.
local function draw_first(line, room)
    local name = key('ready', line)
    local members = redis.call('ZRANGE', name, 0, room - 1)
    if #members > 0 then
        redis.call('ZREMRANGEBYRANK', name, 0, #members - 1)
        thinned[line] = true
    end
    for i, member in ipairs(members) do
        members[i] = id_in(member, 18)
    end
    return members
end

-- The same of several lines, in the order of all of them together, and only what is wanted.
local function draw(lines, wanted, room)
    if #lines == 1 and not wanted then
        return draw_first(lines[1], room)
    end
    local readers = {}
    for _, line in ipairs(lines) do
        local one = reader(line, wanted, math.ceil(room / #lines))
        if one.member then
            readers[#readers + 1] = one
        end
    end
    local drawn, by_line = {}, {}
    while #readers > 0 do
        local first = 1
        for i = 2, #readers do
            if is_before(readers[i].member, readers[first].member) then
                first = i
            end
        end
        local one = readers[first]
        drawn[#drawn + 1] = id_in(one.member, 18)
        by_line[one.line] = by_line[one.line] or {}
        table.insert(by_line[one.line], one.member)
        if #drawn == room then
            break
        end
        one.advance()
        if not one.member then
            table.remove(readers, first)
        end
    end
    for line, members in pairs(by_line) do
        thinned[line] = true
        each_page(members, MOST, function(...) redis.call('ZREM', key('ready', line), ...) end)
    end
    return drawn
end

local claims = {}

-- Claim up to that many; how many there were.
local function claim(worker, lines, wanted, room)
    if room <= 0 or not lines or #lines == 0 then
        return 0
    end
    local claimed = 0
    local ids = draw(lines, wanted, room)
    load(ids)
    local facts = fetch(FACTS, ids)
    for i, id in ipairs(ids) do
        local job = jobs[id]
        if job and job[STATE] == QUEUED then -- else it is the ticket of a job that is gone
            count(job, -1)
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

local function claim_in_turns(worker, names, lines, wanted, room, turn)
    local left = room
    local function nth(i)
        return lines[names[(turn + i) % #names + 1]]
    end
    for i = 0, #names - 1 do -- an even share each …
        left = left - claim(worker, nth(i), wanted, math.ceil(left / (#names - i)))
    end
    for i = 0, #names - 1 do -- … and what others left
        left = left - claim(worker, nth(i), wanted, left)
    end
    return room - left
end

-- Whether a ticket's tags let it through (see `Routing`).
local function routed(tags, untagged)
    return function(member)
        local start = string.find(member, '\0', 19, true)
        if not start then
            return untagged
        end
        local own = string.sub(member, start) .. '\0'
        for _, tag in ipairs(tags) do
            if string.find(own, '\0' .. tag .. '\0', 1, true) then
                return true
            end
        end
        return false
    end
end

local worker = ask.worker
local refused = settle(worker, ask.outcomes, ask.others)
if ask.known then
    release_unknown(worker, ask.known)
end
promote()
flush()

local alive = is_alive(worker)
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
    local room = ask.limit
    for _, want in ipairs(ask.wants) do
        local queue, limit = want[1], math.min(want[2], room)
        if queue then
            room = room - claim(worker, lines[queue], wanted, limit)
        elseif #names > 0 then
            room = room - claim_in_turns(worker, names, lines, wanted, limit, ask.turn)
        end
    end
    if #claims > 0 then
        redis.call('SADD', key('holders'), worker)
    end
    flush()
    if room > 0 then
        doze()
    end
end

local first = redis.call('ZRANGE', key('due'), 0, 0, 'WITHSCORES')[2]
return {alive and 1 or 0, first and exact(math.max(0, first - now)) or false, refused, claims}
