-- uses: making wake
-- `ask.jobs`: each {id, line, priority, delay, run_at, max_attempts, max_crashes, keep_for, waits, owner, key, tags}, and
-- its facts attached.
-- Answers with pairs of the number of a job that was not made and the id of the one that stood in its way.
local jobs = ask.jobs
local ids = {}
for i, new in ipairs(jobs) do
    ids[i] = new[1]
end
load(ids)

local last = redis.call('INCRBY', key('serial'), #jobs)
local others = {}
local made = false
for i, new in ipairs(jobs) do
    local id, line, priority, delay, run_at, max_attempts, max_crashes, keep_for, waits = unpack(new, 1, 9)
    local facts = {owner = new[10], key = new[11], tags = new[12]}
    local other = in_the_way(id, facts, true)
    if other then
        others[#others + 1] = i - 1
        others[#others + 1] = other
    else
        run_at = run_at or now + delay
        local state = waits and WAITING or run_at > now and SCHEDULED or QUEUED
        make(id, {
            state, 0, priority, 0, 0, 0, max_attempts, max_crashes,
            last - #jobs + i, keep_for, run_at, now, now, 0, 0, '', line,
        }, attached(i), facts)
        made = true
    end
end
flush()
if made then
    wake()
end
return others
