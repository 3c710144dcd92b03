-- uses: flowing
-- What a script writes, gathered so that n jobs cost a few commands and not n times a few. Within one gathering what is
-- taken away goes first: who puts something in and takes it out again must write in between.
local ledger = {HDEL = {}, ZREM = {}, SREM = {}, HSET = {}, ZADD = {}, SADD = {}}
local tally = {}
local filled, thinned = {}, {}
local unwanted = {} -- keys

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

-- The numbers of jobs by state and line, and by state and workflow.
local function count(id, job, number)
    local states = tally[job[LINE]]
    if not states then
        states = {}
        tally[job[LINE]] = states
    end
    states[job[STATE]] = (states[job[STATE]] or 0) + number
    if has(job, FLOWING) then
        flowing()
        count_in_flow(id, job, number)
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
            if number ~= 0 and redis.call('HINCRBY', key('counts'), state .. line, number) == 0 then
                redis.call('HDEL', key('counts'), state .. line)
            end
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
    if flows then
        write_flows()
    end
    each_page(unwanted, MOST, function(...) redis.call('UNLINK', ...) end)
    changed, tally, filled, thinned, unwanted = {}, {}, {}, {}, {}
end
-- inner --
