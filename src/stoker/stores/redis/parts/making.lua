-- uses: closing
-- New records. `packed` is what the client packed of the facts that never change, `tied` what of them the indexes hold.

-- The id that stands in the way of a job: its own, or that of the unfinished job that has its key. It was looked for.
local function in_the_way(id, tied, live)
    if jobs[id] then
        return id
    end
    return live and tied.key and redis.call('HGET', key('keys'), tied.key)
end

local function make(id, job, packed, tied, parents)
    mark(job, KEYED, tied.key)
    mark(job, TAGGED, tied.tags)
    mark(job, OWNED, tied.owner)
    mark(job, LIMITED, tied.limit)
    mark(job, FLOWING, tied.workflow)
    mark(job, CHILD, parents)
    mark(job, AWAITED, is_missed(id))
    jobs[id], changed[id], ties[id] = job, true, tied
    note('HSET', FACTS, id, packed)
    note('ZADD', key('ids'), '0', id)
    if tied.owner then
        note('ZADD', key('owner', tied.owner), '0', id)
    end
    if tied.workflow then
        flowing()
        local flow = flow_of(tied.workflow)
        flow.born = math.min(flow.born or job[CREATED], job[CREATED])
        note('ZADD', key('workflow', tied.workflow), '0', id)
        note('ZADD', key('flows'), '0', tied.workflow)
    end
    if parents then
        note('HSET', PARENTS, id, table.concat(parents, '\0'))
    end
    if not is_final(job[STATE]) then
        note('ZADD', key('live'), '0', id)
        if tied.key then
            redis.call('HSET', key('keys'), tied.key, id)
        end
    end
    enter(id, job)
end
