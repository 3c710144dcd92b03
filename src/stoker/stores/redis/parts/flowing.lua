-- seldom uses: records
-- Workflows as a whole.
local flows = {}

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

local function count_in_flow(id, job, number)
    if job[STATE] == CANCELLED and policy_of(job) == ONLY then
        return -- it was there for a failure, and there was none
    end
    local states = flow_of(ties_of(id).workflow).states
    states[job[STATE]] = (states[job[STATE]] or 0) + number
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
        if number ~= 0 and redis.call('HINCRBY', name, state, number) == 0 then
            redis.call('HDEL', name, state)
        end
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

local function write_flows()
    for workflow, flow in pairs(flows) do
        write_flow(workflow, flow)
    end
    flows = {}
end
