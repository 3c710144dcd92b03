-- seldom uses: flushing
-- What makes one job of many requests: under each name the job that was made last, and until when it stands for others.
-- A guard is {name, span, whether the last request counts}.
local GUARD = '>i8' -- until when; the job's id follows
local AGAIN = 60000000 -- span after which one is looked at again that cannot be forgotten yet

local function guard_of(name)
    local kept = redis.call('HGET', key('guards'), name)
    if kept then
        local until_, rest = struct.unpack(GUARD, kept)
        return {until_ = until_, id = string.sub(kept, rest)}
    end
end

local function put_guard(guard, id)
    local name, span = guard[1], guard[2]
    redis.call('HSET', key('guards'), name, struct.pack(GUARD, now + span) .. id)
    redis.call('ZADD', key('guarded'), exact(now + span), name)
end

local function has_yet_to_begin(guard)
    load({guard.id})
    local job = jobs[guard.id]
    return job and (job[STATE] == SCHEDULED or job[STATE] == QUEUED) and job[ATTEMPT] == 0
end

-- Where the payload ends in facts as the client packs them: an array of which it is the first.
local function payload_end(packed)
    local kind = string.byte(packed, 2)
    if kind >= 0xa0 and kind <= 0xbf then
        return 2 + kind - 0xa0
    elseif kind == 0xd9 then
        return 3 + string.byte(packed, 3)
    elseif kind == 0xda then
        return 4 + struct.unpack('>I2', packed, 3)
    end
    return 6 + struct.unpack('>I4', packed, 3)
end

-- The request takes the place of the job's: its payload, and a span from now.
local function take_over(id, job, guard, packed)
    flush() -- the job may have been made by this very script
    local old = redis.call('HGET', FACTS, id)
    local facts = string.sub(packed, 1, payload_end(packed)) .. string.sub(old, payload_end(old) + 1)
    note('HSET', FACTS, id, facts)
    leave(id, job)
    job[RUN_AT], job[UPDATED] = now + guard[2], now
    job[STATE] = guard[2] > 0 and SCHEDULED or QUEUED
    enter(id, job)
    changed[id] = true
    put_guard(guard, id)
end

-- The job that stands in the place of one that is asked for, which with debounce takes its payload.
local function in_place_of(guard, packed)
    local stands = guard_of(guard[1])
    if not stands then
        return nil
    end
    local yet_to_begin = has_yet_to_begin(stands)
    if not guard[3] then
        return stands.until_ > now and jobs[stands.id] and stands.id
    elseif yet_to_begin then
        take_over(stands.id, jobs[stands.id], guard, packed)
        return stands.id
    end
end

-- Forget what stands for nothing any more.
local function forget_guards(limit)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', key('guarded'), '-inf', exact(now), 'LIMIT', 0, limit)) do
        local guard = guard_of(name)
        if guard and has_yet_to_begin(guard) then
            redis.call('ZADD', key('guarded'), exact(now + AGAIN), name)
        else
            redis.call('HDEL', key('guards'), name)
            redis.call('ZREM', key('guarded'), name)
        end
    end
end
