-- uses: records
-- What is let through, for queues and for limit keys alike: {concurrency, rate, period, when its bucket is full again},
-- -1 and 0 where there is none; of a queue also between whom turns are taken. Buckets are reckoned as in `stores.bucket`.
local CONCURRENCY, RATE, PERIOD, FULL_AT, FAIR = 1, 2, 3, 4, 5
local SHAPED = '>i8i8i8i8i8'
local BY_OWNER, BY_SHARE = 1, 2
local ENDLESS = 4503599627370496 -- 2 ^ 52

local shapes
local shape_of_line = {}

-- The limits of queues, by name. They are few.
local function all_shapes()
    if not shapes then
        shapes = {}
        local flat = redis.call('HGETALL', key('shaped'))
        for i = 1, #flat, 2 do
            shapes[flat[i]] = {struct.unpack(SHAPED, flat[i + 1])}
        end
    end
    return shapes
end

-- What holds for the queue of a line, or false.
local function shape_of(line)
    local shape = shape_of_line[line]
    if shape == nil then
        shape = all_shapes()[queue_of(line)] or false
        shape_of_line[line] = shape
    end
    return shape
end

local function keep_shape(queue, shape)
    redis.call('HSET', key('shaped'), queue, struct.pack(SHAPED, unpack(shape, 1, FAIR)))
end

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
