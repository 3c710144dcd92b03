-- uses: filter listing
-- Of a stretch, the jobs that match and to which the change can be done: {where to go on, how many, refs and ids}. When
-- they are only counted, those with a key are named all the same, by it: of twins only one can be retried.
local chosen, total = {}, 0
local ids, rest = stretch()
for _, id in ipairs(ids) do
    local text, packed = unpack(redis.call('HMGET', record(id), 's', 'f'))
    local job = text and read(text)
    if job and matches(job, packed) and open[ask.change.action](job, packed) then
        if not ask.counted then
            chosen[#chosen + 1] = exact(job[REF])
            chosen[#chosen + 1] = id
        elseif ask.change.action == 'retry' and has(job, KEYED) then
            chosen[#chosen + 1] = cmsgpack.unpack(packed)[KEY]
        else
            total = total + 1
        end
    end
end
return {rest, total, chosen}
