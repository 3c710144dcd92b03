-- uses: listing
-- Of a stretch, the jobs that match and to which the change can be done: {where to go on, how many, refs and ids}. When
-- they are only counted, those with a key are named all the same, by it: of twins only one can be retried.
local chosen, total = {}, 0
local rest = each_match(function(id, job)
    if not open[ask.change.action](job, id) then
        return false
    elseif not ask.counted then
        chosen[#chosen + 1] = exact(job[REF])
        chosen[#chosen + 1] = id
    elseif ask.change.action == 'retry' and has(job, KEYED) then
        chosen[#chosen + 1] = ties_of(id).key
    else
        total = total + 1
    end
end)
return {rest, total, chosen}
