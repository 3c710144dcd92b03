-- uses: ask
-- A lock: until when it is held and with which token, and by whom.
local LOCK = '>i8i8'

-- Who holds it; nil: nobody, or nobody any more.
local function holder_of(name)
    local kept = redis.call('HGET', key('locks'), name)
    if kept then
        local until_, token, rest = struct.unpack(LOCK, kept)
        return until_ > now and {until_ = until_, token = token, holder = string.sub(kept, rest)} or nil
    end
end

local function hold(name, held, ttl)
    redis.call('HSET', key('locks'), name, struct.pack(LOCK, now + ttl, held.token) .. held.holder)
    redis.call('ZADD', key('locked'), exact(now + ttl), name)
end
