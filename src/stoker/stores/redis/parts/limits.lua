-- seldom uses: buckets order flushing
-- Limits of jobs by key. Of each group of a key (one queue, one task, the same tags) the first jobs are `admitted`: they
-- stand in their lines, as many as the key has room for. The others are `parked`, so that a million of them are in
-- nobody's way. Where a job is said to be is decided here, and only when a job of its key moved, or a token came in.
local WINDOW = 1000 -- most that are admitted of a group, and most that are claimed before others are

local LIMITED_BY = '>i8i8i8i8'
local limit_of = {}

-- What holds for the jobs of a key; nothing, where a job was put back and its limit is not known.
local function limit_for(name)
    local limit = limit_of[name]
    if not limit then
        local kept = redis.call('HGET', key('limits'), name)
        limit = kept and {struct.unpack(LIMITED_BY, kept)} or {-1, 0, 0, 0}
        limit.kept = kept and true
        limit_of[name] = limit
    end
    return limit
end

local function keep_limit(name, limit)
    redis.call('HSET', key('limits'), name, struct.pack(LIMITED_BY, unpack(limit, 1, FULL_AT)))
    if limit[RATE] > 0 then
        redis.call('ZADD', key('spent'), exact(tokens_at(limit, 0)), name)
    else
        redis.call('ZREM', key('spent'), name)
    end
    limit.spent = false
end

-- From now on this holds for the jobs of a key; `asked`: {key, concurrency, rate, period}.
local function put_limit(asked)
    local name, concurrency, rate, period = unpack(asked, 1, 4)
    local limit = limit_for(name)
    concurrency = concurrency or -1
    if not (rate and period) then
        rate, period = 0, 0
    end
    stirred[name] = true
    if limit[CONCURRENCY] ~= concurrency or limit[RATE] ~= rate or limit[PERIOD] ~= period or not limit.kept then
        limit[CONCURRENCY], limit[RATE], limit[PERIOD], limit.kept = concurrency, rate, period, true
        keep_limit(name, limit)
    end
end

-- How many of a key may be claimed now. What this script claims is added to what was processed before.
local function room_for(name)
    local limit = limit_for(name)
    limit.running = limit.running or redis.call('SCARD', key('busy', name))
    return room_of(limit, limit.running)
end

local function line_in(group)
    local first = string.find(group, '\255', 1, true) + 1
    return string.sub(group, first, string.find(group, '\255', first, true) - 1)
end

-- As ZADD takes them.
local function scored(entries)
    local pairs_ = {}
    for _, entry in ipairs(entries) do
        pairs_[#pairs_ + 1] = '0'
        pairs_[#pairs_ + 1] = entry
    end
    return pairs_
end

local function admit(group, entries)
    each_page(entries, MOST, function(...) redis.call('ZREM', key('parked', group), ...) end)
    each_page(scored(entries), MOST, function(...)
        redis.call('ZADD', key('admitted', group), ...)
        redis.call('ZADD', key('ready', line_in(group)), ...)
    end)
end

local function park(group, entries)
    each_page(entries, MOST, function(...)
        redis.call('ZREM', key('admitted', group), ...)
        redis.call('ZREM', key('ready', line_in(group)), ...)
    end)
    each_page(scored(entries), MOST, function(...) redis.call('ZADD', key('parked', group), ...) end)
end

-- Admit the first of a group, as many as there is room for; how many that are, and whether some stay parked.
local function sort_out(group, room)
    local admitted, parked = key('admitted', group), key('parked', group)
    local number = redis.call('ZCARD', admitted)
    if number < room then
        local entries = redis.call('ZRANGE', parked, 0, room - number - 1)
        admit(group, entries)
        number = number + #entries
    elseif number > room then
        park(group, redis.call('ZRANGE', admitted, room, -1))
        number = room
    end
    local first = redis.call('ZRANGE', parked, 0, 0)[1]
    while first and number > 0 do
        local last = redis.call('ZRANGE', admitted, -1, -1)[1]
        if not is_before(first, last) then
            break
        end
        park(group, {last})
        admit(group, {first})
        first = redis.call('ZRANGE', parked, 0, 0)[1]
    end
    return number, first ~= nil
end

-- Where the bucket of a key is looked at again: `thirsty` says when there is a token for jobs that are queued, `ripe`
-- when there is one more than now for those that are parked for want of it.
local function watch(name, limit, room, queued, parked)
    if limit[RATE] > 0 and queued then
        redis.call('ZADD', key('thirsty'), exact(tokens_at(limit, 1)), name)
    else
        redis.call('ZREM', key('thirsty'), name)
    end
    local tokens = limit[RATE] > 0 and tokens_in(limit)
    if tokens and parked and tokens < limit[RATE] and tokens == room then
        redis.call('ZADD', key('ripe'), exact(tokens_at(limit, tokens + 1)), name)
    else
        redis.call('ZREM', key('ripe'), name)
    end
end

-- Admit and park, for every key of which a job moved. Everything is written before.
local function readmit()
    for name in pairs(stirred) do
        local room, limit = math.min(WINDOW, room_for(name)), limit_for(name)
        if limit.spent then
            keep_limit(name, limit)
        end
        local queued, parked = false, false
        for _, group in ipairs(redis.call('SMEMBERS', key('groups', name))) do
            local number, more = sort_out(group, room)
            queued, parked = queued or number > 0 or more, parked or more
            if number == 0 and not more then
                redis.call('SREM', key('groups', name), group)
            end
        end
        watch(name, limit, room, queued, parked)
    end
    stirred = {}
end
