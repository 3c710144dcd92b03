-- uses: ask
-- What is forgotten with the time, besides jobs and guards.
local function forget_locks(limit)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', key('locked'), '-inf', exact(now), 'LIMIT', 0, limit)) do
        redis.call('HDEL', key('locks'), name)
        redis.call('ZREM', key('locked'), name)
    end
end

local function forget_tallies()
    redis.call('ZREMRANGEBYLEX', key('tallies'), '-', '(' .. struct.pack('>I8', now - TALLIES_KEPT + 1))
end

-- Of the first entries of the audit log, those that are too old.
local function forget_entries(limit)
    for _, member in ipairs(redis.call('ZRANGEBYLEX', key('audit'), '-', '+', 'LIMIT', 0, limit)) do
        local stop = string.find(member, '\0', 1, true)
        if struct.unpack('>i8', member, stop + 1) <= now - AUDIT_KEPT then
            redis.call('HDEL', key('entries'), string.sub(member, 1, stop - 1))
            redis.call('ZREM', key('audit'), member)
        end
    end
end
