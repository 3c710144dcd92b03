-- uses: filter listing
-- Of a stretch, the records that match: {where to go on, id and fields one after the other}. Stops early where there are
-- `ask.limit` of them, or more than `ask.bytes` in all.
local found, bytes = {}, 0
local ids, rest = stretch()
for _, id in ipairs(ids) do
    local fields = redis.call('HMGET', record(id), 's', 'f', 'r', 'e', 'h', 'p', 'm', 'c', 'x')
    if fields[1] and matches(read(fields[1]), fields[2]) then
        local last = #found
        found[last + 1] = id
        for i = 1, 9 do
            found[last + 1 + i] = fields[i]
            bytes = bytes + (fields[i] and #fields[i] or 0)
        end
        if #found == ask.limit * 10 or bytes > ask.bytes then
            rest = id
            break
        end
    end
end
return {rest, found}
