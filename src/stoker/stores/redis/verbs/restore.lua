-- uses: making wake
-- `ask.jobs`: each {id, owner, key, tags, further columns}, and two attached: its stand without its number, and
-- its facts. Answers how many were put back.
local restored, seen = 0, {}
for i, old in ipairs(ask.jobs) do
    local id = old[1]
    local facts = {owner = old[2], key = old[3], tags = old[4]}
    local job = read(attached(2 * i - 1))
    local known = seen[id] or redis.call('ZSCORE', key('ids'), id)
    seen[id] = true
    if not in_the_way(id, facts, not is_final(job[STATE]), known) then
        job[REF] = redis.call('INCR', key('serial'))
        make(id, job, attached(2 * i), facts)
        for column, value in pairs(old[5]) do
            note('HSET', key(column), id, value)
        end
        if job[STATE] == PROCESSING then
            redis.call('SADD', key('holders'), job[WORKER])
        end
        restored = restored + 1
    end
end
flush()
if restored > 0 then
    wake()
end
return restored
