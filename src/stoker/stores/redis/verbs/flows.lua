-- uses: ask
-- Workflows, named or in the order of their ids: each its id, when something last happened to one of its jobs, and its
-- numbers by state and when the first of them was made, as they are kept.
local ids = ask.ids
if not ids then
    local least = ask.after and '(' .. ask.after or '-'
    local most = ask.before and '(' .. ask.before or '+'
    if ask.rising then
        ids = redis.call('ZRANGEBYLEX', key('flows'), least, most, 'LIMIT', 0, ask.limit)
    else
        ids = redis.call('ZREVRANGEBYLEX', key('flows'), most, least, 'LIMIT', 0, ask.limit)
    end
end
local found = {}
for _, id in ipairs(ids) do
    local kept = redis.call('HGETALL', key('flow', id))
    if #kept > 0 then
        local last = redis.call('ZRANGE', key('touched', id), -1, -1, 'WITHSCORES')[2]
        found[#found + 1] = {id, exact(tonumber(last)), kept}
    end
end
return found
