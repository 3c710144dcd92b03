-- uses: filter ending wake
-- Change the jobs with these ids, as far as they match and it can be done to them when this runs; up to `ask.limit`.
local change = ask.change
local apply = {}

function apply.cancel(id, job)
    if job[STATE] == PROCESSING then
        mark(job, ASKED, true)
        job[UPDATED] = now
        changed[id] = true
        note('HSET', key('asked', job[WORKER]), number_of(job[REF]), job[FENCE])
        note('HSET', REASONS, id, change.reason or '')
        return
    end
    mark(job, ERRED, change.reason)
    move(id, job, CANCELLED)
    if change.reason then
        note('HSET', ERRORS, id, change.reason)
    else
        note('HDEL', ERRORS, id)
    end
end

function apply.retry(id, job)
    leave(id, job)
    job[STATE] = QUEUED
    job[MAX_ATTEMPTS] = math.max(job[MAX_ATTEMPTS], job[ATTEMPT] - job[CRASHES] + 1)
    job[MAX_CRASHES] = math.max(job[MAX_CRASHES], job[CRASHES] + 1)
    job[RUN_AT] = now
    job[UPDATED] = now
    job[FINISHED] = 0
    enter(id, job)
    note('ZADD', key('live'), '0', id)
    if has(job, KEYED) then
        redis.call('HSET', key('keys'), facts_of(id)[KEY], id)
    end
    changed[id] = true
end

function apply.requeue(id, job)
    conclude(id, job, 'crashed', {uncapped = true})
end

function apply.prioritise(id, job)
    leave(id, job)
    job[PRIORITY] = change.priority
    job[UPDATED] = now
    enter(id, job)
    changed[id] = true
end

function apply.delete(id, job)
    delete(id, job)
end

local number = 0
load(ask.ids)
for _, id in ipairs(ask.ids) do
    if number == ask.limit then
        break
    end
    local job = jobs[id]
    if job and matches(id, job) and open[change.action](job, id) then
        apply[change.action](id, job)
        number = number + 1
    end
end
flush()
if number > 0 and (change.action == 'retry' or change.action == 'requeue') then
    wake()
end
return number
