-- uses: moves workers
-- Whether a job matches `ask.which` (see `Filter`), and whether `ask.change` can be done to it (see `Action`).
local which = ask.which
local LOOKED = 4000000 -- bytes of facts in which one script looks for a text, about
local looked = 0

local function set_of(list)
    if not list then
        return nil
    end
    local set = {}
    for _, value in ipairs(list) do
        set[value] = true
    end
    return set
end

local states = set_of(which.states)
local text = which.text and string.lower(which.text)
local by_facts = which.owner or which.key or which.tag or which.workflow or text
local before_task = which.queue and which.queue .. '\0'
local after_queue = which.task and '\0' .. which.task

local function shares(list, value)
    for _, one in ipairs(list or {}) do
        if one == value then
            return true
        end
    end
    return false
end

local function matches(id, job)
    if states and not states[job[STATE]] then
        return false
    end
    local line = job[LINE]
    if before_task and string.sub(line, 1, #before_task) ~= before_task then
        return false
    end
    if after_queue and string.sub(line, -#after_queue) ~= after_queue then
        return false
    end
    if which.idle_for and job[UPDATED] > now - which.idle_for then
        return false
    end
    if not by_facts then
        return true
    end
    local facts = facts_of(id)
    looked = looked + (text and #facts[PAYLOAD] or 0)
    return (not which.owner or facts[OWNER] == which.owner)
        and (not which.key or facts[KEY] == which.key)
        and (not which.workflow or facts[WORKFLOW] == which.workflow)
        and (not which.tag or shares(facts[TAGS], which.tag))
        and (not text or string.find(string.lower(facts[PAYLOAD]), text, 1, true) ~= nil)
end

local alive = {}
local function is_lost(job)
    local name = job[WORKER]
    if alive[name] == nil then
        alive[name] = is_alive(name)
    end
    return not alive[name]
end

local open = {}

function open.cancel(job)
    return not is_final(job[STATE]) and not has(job, ASKED)
end

-- Whether one that is there for a failure might still see one.
local function is_needed(id, job)
    if policy_of(job) ~= ONLY or not has(job, CHILD) then
        return true
    end
    local parents = parents_of(id)
    load(parents)
    for _, parent in ipairs(parents) do
        if parent ~= id and jobs[parent] and jobs[parent][STATE] ~= COMPLETED then
            return true
        end
    end
    return false
end

function open.retry(job, id)
    if job[STATE] ~= FAILED and job[STATE] ~= CANCELLED then
        return false
    end
    local free = not has(job, KEYED) or redis.call('HEXISTS', key('keys'), ties_of(id).key) == 0
    return free and is_needed(id, job)
end

function open.requeue(job)
    return job[STATE] == PROCESSING and is_lost(job)
end

function open.prioritise(job)
    return job[STATE] < PROCESSING and job[PRIORITY] ~= ask.change.priority
end

function open.delete(job)
    return job[STATE] ~= PROCESSING or is_lost(job)
end
