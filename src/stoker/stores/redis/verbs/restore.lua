-- uses: making wake
-- `ask.jobs`: each {id, owner, key, tags, further columns}, and two attached: its stand without its number, and
-- its facts. Answers how many were put back.
local ids = {}
for i, old in ipairs(ask.jobs) do
    ids[i] = old[1]
end
load(ids)
local restored = 0
for i, old in ipairs(ask.jobs) do
    local id = old[1]
    local facts = {owner = old[2], key = old[3], tags = old[4]}
    local job = read(attached(2 * i - 1))
    if not in_the_way(id, facts, not is_final(job[STATE])) then
        job[REF] = redis.call('INCR', key('serial'))
        say(id, job, old[5])
        make(id, job, attached(2 * i), facts)
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
