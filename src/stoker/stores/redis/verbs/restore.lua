-- uses: making wake
-- `ask.jobs`: each {id, owner, key, tags, workflow, limit, share, parents, open parents, further columns}, and two
-- attached: its stand without its number, and its facts. Answers how many were put back.
local ids = {}
for _, old in ipairs(ask.jobs) do
    ids[#ids + 1] = old[1]
    for _, parent in ipairs(old[9] or {}) do
        ids[#ids + 1] = parent
    end
end
load(ids)

-- What it waits for; a parent that is there and has ended has its consequences.
local function wait_for(id, open)
    for _, parent in ipairs(open) do
        link(parent, id)
        local job = jobs[parent]
        if job and is_final(job[STATE]) then
            over(parent, job, false)
        end
    end
end

local restored = 0
for i, old in ipairs(ask.jobs) do
    local id = old[1]
    local tied = {owner = old[2], key = old[3], tags = old[4], workflow = old[5], limit = old[6], share = old[7]}
    local job = read(attached(2 * i - 1))
    if not in_the_way(id, tied, not is_final(job[STATE])) then
        job[REF] = redis.call('INCR', key('serial'))
        say(id, job, old[10])
        make(id, job, attached(2 * i), tied, old[8])
        if job[STATE] == PROCESSING then
            redis.call('SADD', key('holders'), job[WORKER])
        end
        if old[9] then
            family()
            wait_for(id, old[9])
        end
        if is_final(job[STATE]) then
            over(id, job, false)
        end
        if #ended > 0 then
            conclude_ends()
        end
        restored = restored + 1
    end
end
close()
if restored > 0 then
    wake()
end
return restored
