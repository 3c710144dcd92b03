-- uses: ledger
-- From the numbers of claims to their jobs.

local function stand_of(id)
    local text = id and redis.call('HGET', record(id), 's')
    return text and read(text)
end

-- Which jobs these refs are, if they are held: by this worker, or, seldom, by another. False for those that are not.
local function held_ids(worker, refs)
    local ids = {}
    each_page(refs, MOST, function(...)
        for _, id in ipairs(redis.call('HMGET', key('held', worker), ...)) do
            ids[#ids + 1] = id
        end
    end)
    local others
    for i, ref in ipairs(refs) do
        if not ids[i] then
            others = others or redis.call('SMEMBERS', key('holders'))
            for _, name in ipairs(others) do
                ids[i] = ids[i] or redis.call('HGET', key('held', name), ref)
            end
        end
    end
    return ids
end
