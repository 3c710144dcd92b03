-- uses: moves logs
-- What becomes of claims: one function for every verdict.

-- The history with one entry more. The client's JSON is not touched, only continued.
local function blame(id, job, entry)
    local worker = job[WORKER] ~= '' and ',"worker":' .. cjson.encode(job[WORKER]) or ''
    local more = string.sub(entry, 1, -2) .. worker .. ',"at":' .. exact(now) .. '}'
    local history = redis.call('HGET', HISTORIES, id)
    return history and string.sub(history, 1, -2) .. ',' .. more .. ']' or '[' .. more .. ']'
end

local function crash_message(crashes)
    local times = crashes == 1 and 'once' or exact(crashes) .. ' times'
    return 'the process that ran this job died or lost its lease, ' .. times
end

local ending = {}

-- Where the job goes, and its error: nil leaves the one it has, false takes it away.

function ending.completed(id, job, outcome)
    if outcome.result and outcome.result ~= 'null' then
        note('HSET', RESULTS, id, outcome.result)
    else
        note('HDEL', RESULTS, id)
    end
    mark(job, VOID, not outcome.result)
    return COMPLETED, false
end

function ending.failed(id, job, outcome)
    return FAILED, outcome.error
end

local function reason_of(id)
    local reason = redis.call('HGET', REASONS, id)
    return reason and reason ~= '' and reason
end

function ending.cancelled(id, job, outcome)
    if outcome.reason and outcome.reason ~= '' then
        return CANCELLED, outcome.reason
    end
    return CANCELLED, has(job, ASKED) and reason_of(id)
end

-- Back to a state, unless it was asked to stop.
local function back(id, job, state, problem)
    if has(job, ASKED) then
        return CANCELLED, reason_of(id)
    end
    return state, problem
end

local function later(id, job, outcome)
    job[RUN_AT] = now + (outcome.delay or 0)
    return back(id, job, (outcome.delay or 0) > 0 and SCHEDULED or QUEUED, outcome.error)
end

ending.retry = later

function ending.snoozed(id, job, outcome)
    job[ATTEMPT] = job[ATTEMPT] - 1
    return later(id, job, outcome)
end

function ending.released(id, job)
    job[ATTEMPT] = job[ATTEMPT] - 1
    return back(id, job, QUEUED)
end

-- `uncapped`: queued again, however often that was.
function ending.crashed(id, job, outcome)
    job[CRASHES] = job[CRASHES] + 1
    if has(job, ASKED) or outcome.uncapped or job[CRASHES] < job[MAX_CRASHES] then
        return back(id, job, QUEUED)
    end
    local message = crash_message(job[CRASHES])
    local entry = '{"attempt":' .. exact(job[ATTEMPT]) .. ',"type":"crashed","message":"' .. message .. '"}'
    note('HSET', HISTORIES, id, blame(id, job, entry))
    return FAILED, 'crashed: ' .. message
end

-- Settle a claim that is held.
local function conclude(id, job, verdict, outcome)
    if outcome.words then
        say(id, job, outcome.words)
    end
    if outcome.log then
        logs()
        append_log(id, job, outcome.log)
    end
    if outcome.entry then
        note('HSET', HISTORIES, id, blame(id, job, outcome.entry))
    end
    local state, problem = ending[verdict](id, job, outcome)
    if problem then
        note('HSET', ERRORS, id, problem)
        mark(job, ERRED, true)
    elseif problem == false and has(job, ERRED) then
        note('HDEL', ERRORS, id)
        mark(job, ERRED, false)
    end
    if has(job, ASKED) then
        note('HDEL', REASONS, id)
    end
    move(id, job, state)
end
