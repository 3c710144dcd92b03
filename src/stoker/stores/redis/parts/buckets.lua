-- seldom uses: shapes
-- Buckets, reckoned as in `stores.bucket`, and room.

-- The span in which a token comes in, and the one in which the bucket is filled.
local function each_of(limit)
    local each = math.max(1, math.floor(limit[PERIOD] / limit[RATE]))
    return each, limit[RATE] * each
end

local function tokens_in(limit)
    local each, whole = each_of(limit)
    return math.floor(math.max(0, whole - math.max(0, limit[FULL_AT] - now)) / each)
end

-- The instant from which there are so many tokens.
local function tokens_at(limit, number)
    local each, whole = each_of(limit)
    return limit[FULL_AT] - whole + number * each
end

-- How many may be claimed, while so many are processed.
local function room_of(limit, running)
    local room = limit[CONCURRENCY] >= 0 and limit[CONCURRENCY] - running or ENDLESS
    if limit[RATE] > 0 then
        room = math.min(room, tokens_in(limit))
    end
    return math.max(0, room)
end

-- One is claimed; whether that is to be written.
local function spend(limit)
    if limit[RATE] > 0 then
        limit[FULL_AT] = math.max(limit[FULL_AT], now) + each_of(limit)
        limit.spent = true
    end
end

-- Never emptier than empty, whatever a clock that stepped back or another rate left.
local function mend(limit)
    if limit[RATE] > 0 then
        local _, whole = each_of(limit)
        if limit[FULL_AT] > now + whole then
            limit[FULL_AT] = now + whole
            limit.spent = true
        end
    end
end
