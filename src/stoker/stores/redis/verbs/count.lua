-- uses: listing
-- Of a stretch, how many match, by the facet: {where to go on, value and number one after the other}.
local facet = {}

function facet.state(job)
    return job[STATE]
end

function facet.queue(job)
    return queue_of(job[LINE])
end

function facet.task(job)
    return string.sub(job[LINE], string.find(job[LINE], '\0', 1, true) + 1)
end

function facet.owner(job, id)
    return has(job, OWNED) and ties_of(id).owner
end

local totals = {}
local rest = each_match(function(id, job)
    local value = facet[ask.by](job, id)
    if value then
        totals[value] = (totals[value] or 0) + 1
    end
end)
local flat = {}
for value, number in pairs(totals) do
    flat[#flat + 1] = value
    flat[#flat + 1] = number
end
return {rest, flat}
