-- uses: ask
-- The ids to look at: those that were named, or a stretch of an index. A look at more than `ask.look` of them would
-- keep others waiting, so the caller goes on from the last.
local function stretch()
    if ask.ids then
        return ask.ids, false
    end
    local ids
    if ask.rising then
        local from = ask.from and '(' .. ask.from or '-'
        ids = redis.call('ZRANGEBYLEX', key(ask.index), from, '+', 'LIMIT', 0, ask.look)
    else
        local from = ask.from and '(' .. ask.from or '+'
        ids = redis.call('ZREVRANGEBYLEX', key(ask.index), from, '-', 'LIMIT', 0, ask.look)
    end
    return ids, #ids == ask.look and ids[#ids]
end
