-- uses: moves
-- Which jobs these refs are, if they are held: by this worker, or, seldom, by another. False for those that are not.
local function held_ids(worker, refs)
    local numbers = {}
    for i, ref in ipairs(refs) do
        numbers[i] = number_of(ref)
    end
    local ids = fetch(key('held', worker), numbers)
    local others
    for i, number in ipairs(numbers) do
        if not ids[i] then
            others = others or redis.call('SMEMBERS', key('holders'))
            for _, name in ipairs(others) do
                ids[i] = ids[i] or redis.call('HGET', key('held', name), number)
            end
        end
    end
    load(ids)
    return ids
end
