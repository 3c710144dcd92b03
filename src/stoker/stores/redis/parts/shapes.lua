-- uses: records
-- What is let through, for queues and for limit keys alike: {concurrency, rate, period, when its bucket is full again},
-- -1 and 0 where there is none; of a queue also between whom turns are taken.
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
