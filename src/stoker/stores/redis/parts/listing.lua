-- uses: filter
-- The ids to look at: those that were named, or a stretch of an index. A look at more than `ask.look` of them would
-- keep others waiting, so the caller goes on from the last.
local function stretch()
    if ask.ids then
        return ask.ids, false
    end
    local least = ask.after and '(' .. ask.after or '-'
    local most = ask.before and '(' .. ask.before or '+'
    local ids
    if ask.rising then
        ids = redis.call('ZRANGEBYLEX', key(ask.index), least, most, 'LIMIT', 0, ask.look)
    else
        ids = redis.call('ZREVRANGEBYLEX', key(ask.index), most, least, 'LIMIT', 0, ask.look)
    end
    return ids, #ids == ask.look and ids[#ids]
end

-- Visit the jobs of the stretch that match, up to one for which `visit` says that it was enough, or with which there was
-- enough to read; where to go on.
local function each_match(visit)
    local ids, rest = stretch()
    load(ids)
    for _, id in ipairs(ids) do
        local job = jobs[id]
        if job and matches(id, job) and visit(id, job) or looked > LOOKED then
            return id
        end
    end
    return rest
end
