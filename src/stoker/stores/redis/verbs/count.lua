-- uses: filter listing
-- Of a stretch, how many match, by the facet: {where to go on, value and number one after the other}.
local facet = {}

function facet.state(job)
    return job[STATE]
end

function facet.queue(job)
    return string.sub(job[LINE], 1, string.find(job[LINE], '\0', 1, true) - 1)
end

function facet.task(job)
    return string.sub(job[LINE], string.find(job[LINE], '\0', 1, true) + 1)
end

function facet.owner(job, packed)
    return has(job, OWNED) and cmsgpack.unpack(packed)[OWNER]
end

local totals = {}
local ids, rest = stretch()
for _, id in ipairs(ids) do
    local text, packed = unpack(redis.call('HMGET', record(id), 's', 'f'))
    local job = text and read(text)
    if job and matches(job, packed) then
        local value = facet[ask.by](job, packed)
        if value then
            totals[value] = (totals[value] or 0) + 1
        end
    end
end
local flat = {}
for value, number in pairs(totals) do
    flat[#flat + 1] = value
    flat[#flat + 1] = number
end
return {rest, flat}
