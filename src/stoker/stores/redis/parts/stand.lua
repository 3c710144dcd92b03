-- uses: ask
-- A job's stand: what changes of it, as a list. It is packed, because a field more costs more than a byte more. Instants
-- are 0 and the worker is '' where there is none. `LINE` is the queue and the task, with a NUL between, which no text
-- holds: jobs of one line are claimed in one order.
local STATE, FLAGS, PRIORITY, FENCE, ATTEMPT, CRASHES, MAX_ATTEMPTS, MAX_CRASHES = 1, 2, 3, 4, 5, 6, 7, 8
local REF, KEEP_FOR, RUN_AT, CREATED, UPDATED, STARTED, FINISHED, WORKER, LINE = 9, 10, 11, 12, 13, 14, 15, 16, 17
local FORM = '>BI2i2I4i4i4i4i4i8i8i8i8i8i8i8s'
local UPDATED_FROM = 58 -- the byte of it

-- What a script must know of the other columns and indexes without reading them, so that a plain job asks for none of
-- it. `ERRED`: it has an error, or a result of before; `VOID`: completed without any result, not even `null`; `CHILD`:
-- it was given parents; `AWAITED`: jobs may wait for it; `LIMITED`, `FLOWING`: it has a limit, a workflow; `TURNED`: it
-- was given a turn; `SOURED`: one of its parents ended badly; `COUNTED`: it is in its queue's `busy_in`.
local KEYED, TAGGED, OWNED, ASKED, ERRED, SAVED, CHILD, AWAITED = 1, 2, 4, 8, 16, 32, 64, 128
local LIMITED, FLOWING, TURNED, SOURED, COUNTED, VOID = 256, 512, 1024, 2048, 4096, 32768

local function has(job, flag)
    return bit.band(job[FLAGS], flag) ~= 0
end

local function mark(job, flag, set)
    if set then
        job[FLAGS] = bit.bor(job[FLAGS], flag)
    else
        job[FLAGS] = bit.band(job[FLAGS], bit.bnot(flag))
    end
end

-- What a parent's bad end means to it (see `ParentFailure`): two bits of the flags.
local CANCEL, RUN, HOLD, ONLY = 0, 1, 2, 3

local function policy_of(job)
    return bit.band(bit.rshift(job[FLAGS], 13), 3)
end

local function read(text)
    local job = {struct.unpack(FORM, text)}
    job[LINE] = string.sub(text, job[LINE]) -- struct ends with where the rest begins
    return job
end

local function updated_in(text)
    return (struct.unpack('>i8', text, UPDATED_FROM))
end

local function written(job)
    return struct.pack(FORM, unpack(job, 1, WORKER)) .. job[LINE]
end

local function queue_of(line)
    return string.sub(line, 1, string.find(line, '\0', 1, true) - 1)
end

local function is_final(state)
    return state >= COMPLETED
end
