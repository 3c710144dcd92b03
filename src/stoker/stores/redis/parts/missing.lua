-- uses: moves
local somebody_is_missed

-- Whether jobs that were put back wait for one with this id, which is made now.
local function is_missed(id)
    if somebody_is_missed == nil then
        somebody_is_missed = redis.call('EXISTS', key('missing')) == 1
    end
    return somebody_is_missed and redis.call('SREM', key('missing'), id) == 1
end
