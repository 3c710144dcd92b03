-- uses: ask
-- For those who watch:
--
--   :limited:LINE     sorted set: tickets of all queued jobs of a line that have a limit, admitted and parked ones; the
--                     entry of a job that is not queued means nothing
--   :log:ID           sorted set: what a job's attempts logged, by fence, in pieces as parts/logs.lua packs them
--   :tallies          sorted set: minute, queue and four numbers, in that order
--   :audit, :entries  sorted set and hash: ids of what people did, in order, each with its instant; and the entries
--   :commands         hash: worker → what it was told
--   :kept             hash: name → value
if tonumber(redis.call('GET', key('schema'))) >= 2 then
    return 0 -- another process was quicker
end

local SOURCES = 1000 -- keys of one command

local function line_in(group)
    local first = string.find(group, '\255', 1, true) + 1
    return string.sub(group, first, string.find(group, '\255', first, true) - 1)
end

local sources = {}
for _, limit in ipairs(redis.call('HKEYS', key('limits'))) do
    for _, group in ipairs(redis.call('SMEMBERS', key('groups', limit))) do
        local line = line_in(group)
        sources[line] = sources[line] or {}
        table.insert(sources[line], key('admitted', group))
        table.insert(sources[line], key('parked', group))
    end
end
for line, names in pairs(sources) do
    local limited = key('limited', line)
    for from = 1, #names, SOURCES do
        local page = {unpack(names, from, math.min(from + SOURCES - 1, #names))}
        redis.call('ZUNIONSTORE', limited, #page + 1, limited, unpack(page))
    end
end
redis.call('SET', key('schema'), 2)
return 1
