-- uses: filter ending closing wake
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

-- It has its key, and is found by others that are retried with it; its place is found when all have been.
function apply.retry(id, job)
    leave(id, job)
    job[STATE] = QUEUED
    job[MAX_ATTEMPTS] = math.max(job[MAX_ATTEMPTS], job[ATTEMPT] - job[CRASHES] + 1)
    job[MAX_CRASHES] = math.max(job[MAX_CRASHES], job[CRASHES] + 1)
    job[RUN_AT] = now
    job[UPDATED] = now
    job[FINISHED] = 0
    note('ZADD', key('live'), '0', id)
    if has(job, KEYED) then
        redis.call('HSET', key('keys'), ties_of(id).key, id)
    end
    changed[id] = true
end

-- Have it wait for those of its parents that are unfinished.
local function rejoin(id, job)
    local failed = false
    local parents, seen = parents_of(id), {}
    load(parents)
    for _, parent in ipairs(parents) do
        local other = jobs[parent]
        if other and parent ~= id and not seen[parent] then
            seen[parent] = true
            failed = failed or other[STATE] == FAILED or other[STATE] == CANCELLED
            if not is_final(other[STATE]) then
                link(parent, id)
                job[STATE] = WAITING
            end
        end
    end
    mark(job, SOURED, failed)
end

function apply.requeue(id, job)
    conclude(id, job, 'crashed', {uncapped = true})
end

-- It keeps its turn.
function apply.prioritise(id, job)
    local queued = job[STATE] == QUEUED
    if queued then
        step_out(id, job)
    end
    job[PRIORITY] = change.priority
    job[UPDATED] = now
    if queued then
        step_in(id, job)
    end
    changed[id] = true
end

function apply.delete(id, job)
    delete(id, job)
end

local done = {}
load(ask.ids)
for _, id in ipairs(ask.ids) do
    if #done == ask.limit then
        break
    end
    local job = jobs[id]
    if job and matches(id, job) and open[change.action](job, id) then
        apply[change.action](id, job)
        done[#done + 1] = id
    end
end
if change.action == 'retry' then
    for _, id in ipairs(done) do
        if has(jobs[id], CHILD) then
            family()
            rejoin(id, jobs[id])
        end
        enter(id, jobs[id])
    end
end
close()
if freed or #done > 0 and (change.action == 'retry' or change.action == 'requeue') then
    wake()
end
return #done
