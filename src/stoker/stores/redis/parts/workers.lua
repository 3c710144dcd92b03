-- uses: ask
-- A worker's entry: until when its lease runs, when it was seen last and first, and how it introduced itself.
local LEASED = '>i8i8i8'

local function worker_of(name)
    local entry = redis.call('HGET', key('workers'), name)
    if not entry then
        return nil
    end
    local until_, seen, started, rest = struct.unpack(LEASED, entry)
    return {until_ = until_, seen = seen, started = started, introduction = string.sub(entry, rest)}
end

local function keep(name, worker)
    local entry = struct.pack(LEASED, worker.until_, worker.seen, worker.started) .. worker.introduction
    redis.call('HSET', key('workers'), name, entry)
end

local function forget_worker(name)
    redis.call('HDEL', key('workers'), name)
    redis.call('HDEL', key('commands'), name)
end

local function is_alive(name)
    local worker = worker_of(name)
    return worker ~= nil and worker.until_ > now
end
