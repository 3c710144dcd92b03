-- uses: holding flushing workers logs
-- A heartbeat, where there are reports or a lease; else only what the worker hears: {alive, ref and fence …, what
-- it was told}.
local function report(id, fence, words, log)
    local job = id and jobs[id]
    if job and job[STATE] == PROCESSING and job[FENCE] == fence then
        job[UPDATED] = now
        changed[id] = true
        say(id, job, words)
        if log then
            logs()
            append_log(id, job, log)
        end
    end
end

if ask.reports then
    local refs = {}
    for i, told in ipairs(ask.reports) do
        refs[i] = told[1]
    end
    for i, id in ipairs(held_ids(ask.worker, refs)) do
        report(id, unpack(ask.reports[i], 2, 4))
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
return {
    alive and 1 or 0, redis.call('HGETALL', key('asked', ask.worker)),
    redis.call('HGET', key('commands'), ask.worker),
}
