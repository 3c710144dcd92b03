-- uses: inserting
-- `ask.puts`: each {name, version, next_at, its jobs}; attached are the documents, and then the facts of the jobs, in
-- order. Answers which were written.
local SCHEDULE = '>i8' -- its version; when it is next, as text, a NUL and the document follow
local answers, first = {}, #ask.puts + 1

local function version_of(name)
    local kept = redis.call('HGET', key('schedules'), name)
    return kept and (struct.unpack(SCHEDULE, kept)) or 0
end

local function put(name, version, next_at, document)
    local text = next_at and exact(next_at) or ''
    redis.call('HSET', key('schedules'), name, struct.pack(SCHEDULE, version) .. text .. '\0' .. document)
    if next_at then
        redis.call('ZADD', key('ticks'), text, name)
    else
        redis.call('ZREM', key('ticks'), name)
    end
end

for i, asked in ipairs(ask.puts) do
    local name, version, next_at, news = unpack(asked, 1, 4)
    answers[i] = version_of(name) == version and 1 or 0
    if answers[i] == 1 then
        put(name, version + 1, next_at, attached(i))
        if #news > 0 then
            insert_all(news, first)
        end
    end
    first = first + #news
end
write_added()
close()
if freed then
    wake()
end
return answers
