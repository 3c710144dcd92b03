-- uses: stand
-- The records: not a hash a job but a hash a column, with a field a job, so that n jobs are read and written by a few
-- commands. Each job is read once in a script, changed in place, and written by `flush`.
local MOST = 4000 -- arguments of one command; Lua's stack takes 8000

local STANDS, FACTS, RESULTS, ERRORS, HISTORIES = key('stand'), key('facts'), key('result'), key('error'), key('history')
local REASONS, CHECKPOINTS = key('reason'), key('checkpoint')
local COLUMNS = {STANDS, FACTS, RESULTS, ERRORS, HISTORIES, key('progress'), key('message'), CHECKPOINTS, REASONS}
local PARENTS = key('parents') -- a column as well, of those that have some

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
local PAYLOAD, OWNER, KEY, TAGS, WORKFLOW, LIMIT, SHARE = 1, 2, 4, 5, 6, 9, 10

local function facts_of(id)
    return cmsgpack.unpack(redis.call('HGET', FACTS, id))
end

-- Of the facts, what indexes are made of. It is kept for the rest of the script, and the payload, which may be large,
-- is not.
local ties = {}

local function ties_of(id, packed)
    local known = ties[id]
    if not known then
        local facts = packed and cmsgpack.unpack(packed) or facts_of(id)
        known = {
            owner = facts[OWNER], key = facts[KEY], tags = facts[TAGS], workflow = facts[WORKFLOW],
            limit = facts[LIMIT], share = facts[SHARE],
        }
        ties[id] = known
    end
    return known
end

-- The ids of the jobs that it was to wait for.
local function parents_of(id)
    local text = redis.call('HGET', PARENTS, id)
    local list = {}
    for parent in string.gmatch(text or '', '[^%z]+') do
        list[#list + 1] = parent
    end
    return list
end
