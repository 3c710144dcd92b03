-- uses: holding flushing workers
-- A heartbeat, where there are reports or a lease; else only what the worker hears: {alive, ref and fence …}.
local function report(id, fence, words)
    local job = id and jobs[id]
    if job and job[STATE] == PROCESSING and job[FENCE] == fence then
        job[UPDATED] = now
        changed[id] = true
        say(id, job, words)
    end
end

if ask.reports then
    local refs = {}
    for i, told in ipairs(ask.reports) do
        refs[i] = told[1]
    end
    for i, id in ipairs(held_ids(ask.worker, refs)) do
        report(id, ask.reports[i][2], ask.reports[i][3])
    end
    flush()
end

local worker = worker_of(ask.worker)
local alive = worker ~= nil and worker.until_ > now
if alive and ask.lease then
    worker.seen = now
    worker.until_ = now + ask.lease
    keep(ask.worker, worker)
end
return {alive and 1 or 0, redis.call('HGETALL', key('asked', ask.worker))}
