-- uses: stand
-- The records: not a hash a job but a hash a column, with a field a job, so that n jobs are read and written by a few
-- commands. Each job is read once in a script, changed in place, and written by `flush`.
local MOST = 4000 -- arguments of one command; Lua's stack takes 8000

local STANDS, FACTS, RESULTS, ERRORS, HISTORIES = key('stand'), key('facts'), key('result'), key('error'), key('history')
local REASONS, CHECKPOINTS = key('reason'), key('checkpoint')
local COLUMNS = {STANDS, FACTS, RESULTS, ERRORS, HISTORIES, key('progress'), key('message'), CHECKPOINTS, REASONS}

local function each_page(list, size, visit)
    for from = 1, #list, size do
        visit(unpack(list, from, math.min(from + size - 1, #list)))
    end
end

-- One column's values of these fields; false where there is none.
local function fetch(column, fields)
    if #fields <= MOST then
        return #fields > 0 and redis.call('HMGET', column, unpack(fields)) or {}
    end
    local values = {}
    each_page(fields, MOST, function(...)
        for _, value in ipairs(redis.call('HMGET', column, ...)) do
            values[#values + 1] = value
        end
    end)
    return values
end

local jobs = {}
local changed = {}

-- Have these jobs in `jobs`, or false for one that is not there.
local function load(ids)
    local missing = {}
    for _, id in ipairs(ids) do
        if id and jobs[id] == nil then
            missing[#missing + 1] = id
            jobs[id] = false
        end
    end
    for i, text in ipairs(fetch(STANDS, missing)) do
        jobs[missing[i]] = text and read(text)
    end
end

-- The facts that never change, as the client packed them, and where each stands.
local PAYLOAD, OWNER, KEY, TAGS, WORKFLOW = 1, 2, 4, 5, 6

local function facts_of(id)
    return cmsgpack.unpack(redis.call('HGET', FACTS, id))
end
