-- uses: moves
-- Tickets of a queue's jobs, a stretch of each line: of those that may be claimed and of those that have a limit, which
-- may be parked. Answers {tickets, where to go on}, the latter being the names of those that have more and their last
-- tickets, one after the other; attached is as much of it, `ask.rest` parts, as is to be gone on with.
local LEAST = 50
local rest = {}
for i = 1, ask.rest do
    rest[i] = attached(i)
end
if #rest == 0 then
    local least, most = '[' .. ask.queue .. '\0', '(' .. ask.queue .. '\1'
    for _, line in ipairs(redis.call('ZRANGEBYLEX', key('lines'), least, most)) do
        for _, kind in ipairs({'ready', 'limited'}) do
            rest[#rest + 1] = kind .. ':' .. line
            rest[#rest + 1] = false
        end
    end
end

-- An entry of one that is not queued was left by an older version, which knows nothing of them.
local function queued_among(tickets)
    local ids, queued = {}, {}
    for i, ticket in ipairs(tickets) do
        ids[i] = id_in(ticket)
    end
    load(ids)
    for i, id in ipairs(ids) do
        if jobs[id] and jobs[id][STATE] == QUEUED then
            queued[#queued + 1] = tickets[i]
        end
    end
    return queued
end

local size = math.min(ask.limit, math.max(LEAST, math.ceil(4 * ask.limit / #rest)))
local found, more = {}, {}
for i = 1, #rest, 2 do
    local name, last = rest[i], rest[i + 1]
    local tickets = redis.call('ZRANGEBYLEX', key(name), last and '(' .. last or '-', '+', 'LIMIT', 0, size)
    if #tickets == size then
        more[#more + 1] = name
        more[#more + 1] = tickets[size]
    end
    if string.sub(name, 1, 8) == 'limited:' then
        tickets = queued_among(tickets)
    end
    for _, ticket in ipairs(tickets) do
        found[#found + 1] = ticket
    end
end
return {found, more}
