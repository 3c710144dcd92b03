-- seldom uses: records
-- What attempts logged: of each job a sorted set of pieces, by the fence of the claim. A piece is how many characters of
-- its claim's log end with it, the attempt, the fence and the text; so the pieces of a claim stand in order, and an old
-- one is known to be of no use when those behind it hold as much as is kept. With the fence no two are ever the same,
-- also where two claims of one attempt log the same within a millisecond.
local PIECE = '>I8i4I8'

local function end_of(piece)
    return (struct.unpack(PIECE, piece))
end

-- Add to the log of the job's present claim; `log`: {text, its length in characters}.
local function append_log(id, job, log)
    local name, fence = key('log', id), job[FENCE]
    local last = redis.call('ZRANGE', name, -1, -1, 'WITHSCORES')
    local goes_on = tonumber(last[2]) == fence
    local length = log[2] + (goes_on and end_of(last[1]) or 0)
    redis.call('ZADD', name, fence, struct.pack(PIECE, length, job[ATTEMPT], fence) .. log[1])
    if not goes_on then
        redis.call('ZREMRANGEBYSCORE', name, '-inf', fence - LOGS_KEPT)
    elseif length > LONGEST_LOG then
        local first = redis.call('ZCOUNT', name, '-inf', '(' .. fence)
        local useful = first
        while length - end_of(redis.call('ZRANGE', name, useful, useful)[1]) >= LONGEST_LOG do
            useful = useful + 1
        end
        if useful > first then
            redis.call('ZREMRANGEBYRANK', name, first, useful - 1)
        end
    end
end
