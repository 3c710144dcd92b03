-- uses: moves
-- New records. `packed` is what the client packed of the facts that never change; the rest says what the indexes hold.

-- The id that stands in the way of a job: its own, or that of the unfinished job that has its key. It was looked for.
local function in_the_way(id, facts, live)
    if jobs[id] then
        return id
    end
    return live and facts.key and redis.call('HGET', key('keys'), facts.key)
end

local function make(id, job, packed, facts)
    mark(job, KEYED, facts.key)
    mark(job, TAGGED, facts.tags)
    mark(job, OWNED, facts.owner)
    jobs[id], changed[id] = job, true
    note('HSET', FACTS, id, packed)
    note('ZADD', key('ids'), '0', id)
    if facts.owner then
        note('ZADD', key('owner', facts.owner), '0', id)
    end
    if not is_final(job[STATE]) then
        note('ZADD', key('live'), '0', id)
        if facts.key then
            redis.call('HSET', key('keys'), facts.key, id)
        end
    end
    enter(id, job, facts.tags)
end
