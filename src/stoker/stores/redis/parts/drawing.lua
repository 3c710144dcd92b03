-- uses: merging
-- The first jobs of lines, in the order of all of them together; and only those that may be claimed.
-- The first jobs of a line; their tickets are taken. Nil, and nothing is taken: some of them have limits.
local function draw_first(line, room)
    local name = key('ready', line)
    local members = redis.call('ZRANGE', name, 0, room - 1)
    for i = 1, has_limits and #members or 0 do
        if limit_in(members[i]) then
            return nil
        end
    end
    if #members > 0 then
        redis.call('ZREMRANGEBYRANK', name, 0, #members - 1)
        thinned[line] = true
    end
    for i, member in ipairs(members) do
        members[i] = id_in(member)
    end
    return members
end

local function draw(lines, wanted, room)
    local drawn = #lines == 1 and not wanted and draw_first(lines[1], room)
    if drawn then
        return drawn
    end
    merging()
    return draw_merged(lines, wanted, room)
end
