-- uses: filter ending wake
-- Change the jobs with these ids, as far as they match and it can be done to them when this runs; up to `ask.limit`.
local change = ask.change
local apply = {}

function apply.cancel(id, job)
    if job[STATE] == PROCESSING then
        mark(job, ASKED, true)
        job[UPDATED] = now
        note('HSET', key('asked', job[WORKER]), exact(job[REF]), job[FENCE])
        redis.call('HSET', record(id), 's', written(job), 'x', change.reason or '')
        return
    end
    mark(job, ERRED, change.reason)
    move(id, job, CANCELLED)
    if change.reason then
        redis.call('HSET', record(id), 's', written(job), 'e', change.reason)
    else
        redis.call('HSET', record(id), 's', written(job))
        redis.call('HDEL', record(id), 'e')
    end
end

function apply.retry(id, job, packed)
    leave(id, job)
    job[STATE] = QUEUED
    job[MAX_ATTEMPTS] = math.max(job[MAX_ATTEMPTS], job[ATTEMPT] - job[CRASHES] + 1)
    job[MAX_CRASHES] = math.max(job[MAX_CRASHES], job[CRASHES] + 1)
    job[RUN_AT] = now
    job[UPDATED] = now
    job[FINISHED] = 0
    enter(id, job)
    note('ZADD', key('live'), 0, id)
    if has(job, KEYED) then
        redis.call('HSET', key('keys'), cmsgpack.unpack(packed)[KEY], id)
    end
    redis.call('HSET', record(id), 's', written(job))
end

function apply.requeue(id, job)
    conclude(id, job, 'crashed', {uncapped = true})
end

function apply.prioritise(id, job)
    leave(id, job)
    job[PRIORITY] = change.priority
    job[UPDATED] = now
    enter(id, job)
    redis.call('HSET', record(id), 's', written(job))
end

function apply.delete(id, job)
    delete(id, job)
end

local changed = 0
for _, id in ipairs(ask.ids) do
    if changed == ask.limit then
        break
    end
    local text, packed = unpack(redis.call('HMGET', record(id), 's', 'f'))
    local job = text and read(text)
    if job and matches(job, packed) and open[change.action](job, packed) then
        apply[change.action](id, job, packed)
        changed = changed + 1
    end
end
flush()
if changed > 0 and (change.action == 'retry' or change.action == 'requeue') then
    wake()
end
return changed
