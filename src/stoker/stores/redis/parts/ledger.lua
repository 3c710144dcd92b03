-- uses: records
-- What a script writes, gathered so that n jobs cost a few commands and not n times a few. Within one gathering what is
-- taken away goes first: who puts something in and takes it out again must write in between.
local ledger = {HDEL = {}, ZREM = {}, SREM = {}, HSET = {}, ZADD = {}, SADD = {}}
local tally, flows = {}, {}
local filled, thinned = {}, {}

local function note(command, name, first, second)
    local entries = ledger[command][name]
    if not entries then
        entries = {}
        ledger[command][name] = entries
    end
    local last = #entries
    entries[last + 1] = first
    entries[last + 2] = second
end

local function add(states, state, number)
    states[state] = (states[state] or 0) + number
end

-- What is to be written of a workflow: how its numbers change, and when the first was made of the jobs that are new, and
-- of those that it lost.
local function flow_of(workflow)
    local flow = flows[workflow]
    if not flow then
        flow = {states = {}}
        flows[workflow] = flow
    end
    return flow
end

-- Whether it was there for a failure, and there was none: workflows do not speak of it.
local function is_unneeded(job)
    return job[STATE] == CANCELLED and policy_of(job) == ONLY
end

-- The numbers of jobs by state and line, and by state and workflow.
local function count(id, job, number)
    local states = tally[job[LINE]]
    if not states then
        states = {}
        tally[job[LINE]] = states
    end
    add(states, job[STATE], number)
    if has(job, FLOWING) and not is_unneeded(job) then
        add(flow_of(ties_of(id).workflow).states, job[STATE], number)
    end
end

local function raise(name, field, number)
    if number ~= 0 and redis.call('HINCRBY', name, field, number) == 0 then
        redis.call('HDEL', name, field)
    end
end

-- When the first of its jobs was made, of those that are still there, which is not before `least`; nil: none is.
local function first_made(workflow, least)
    local name, from, first = key('workflow', workflow), 0, nil
    repeat
        local ids = redis.call('ZRANGE', name, from, from + MOST - 1)
        for _, text in ipairs(fetch(STANDS, ids)) do
            local made = text and read(text)[CREATED]
            first = made and math.min(first or made, made) or first
        end
        from = from + MOST
    until #ids < MOST or first == least
    return first
end

-- Jobs that were kept because others of the workflow were under way may go when their time is over.
local function let_go(workflow)
    local stayed = redis.call('ZRANGE', key('stayed', workflow), 0, -1, 'WITHSCORES')
    for i = 1, #stayed, 2 do
        stayed[i], stayed[i + 1] = stayed[i + 1], stayed[i]
    end
    each_page(stayed, MOST, function(...) redis.call('ZADD', key('ended'), ...) end)
    redis.call('UNLINK', key('stayed', workflow))
end

local function is_under_way(workflow)
    local numbers = redis.call('HMGET', key('flow', workflow), WAITING, SCHEDULED, QUEUED, PROCESSING)
    return (numbers[1] or numbers[2] or numbers[3] or numbers[4]) and true
end

local function write_flow(workflow, flow)
    local name = key('flow', workflow)
    for state, number in pairs(flow.states) do
        raise(name, state, number)
    end
    local first = tonumber(redis.call('HGET', name, 'first') or flow.born)
    if flow.born and flow.born <= first then
        redis.call('HSET', name, 'first', exact(flow.born))
    end
    if flow.lost and flow.lost <= first then
        first = first_made(workflow, first)
        if first then
            redis.call('HSET', name, 'first', exact(first))
        else
            redis.call('UNLINK', name)
            redis.call('ZREM', key('flows'), workflow)
        end
    end
    if redis.call('EXISTS', key('stayed', workflow)) == 1 and not is_under_way(workflow) then
        let_go(workflow)
    end
end

local function write()
    for id, text in pairs(changed) do
        local job = jobs[id]
        note('HSET', STANDS, id, text == true and written(job) or text)
        if has(job, FLOWING) then
            note('ZADD', key('touched', ties_of(id).workflow), exact(job[UPDATED]), id)
        end
    end
    for _, command in ipairs({'HDEL', 'ZREM', 'SREM', 'HSET', 'ZADD', 'SADD'}) do
        for name, entries in pairs(ledger[command]) do
            each_page(entries, MOST, function(...) redis.call(command, name, ...) end)
        end
        ledger[command] = {}
    end
    for line, states in pairs(tally) do
        for state, number in pairs(states) do
            raise(key('counts'), state .. line, number)
        end
    end
    for line in pairs(filled) do
        redis.call('ZADD', key('lines'), 0, line)
    end
    for line in pairs(thinned) do
        if redis.call('EXISTS', key('ready', line), key('aged', line)) == 0 then
            redis.call('ZREM', key('lines'), line)
        end
    end
    for workflow, flow in pairs(flows) do
        write_flow(workflow, flow)
    end
    changed, tally, flows, filled, thinned = {}, {}, {}, {}, {}
end
