-- seldom uses: limited limits
-- Several lines at once.

-- The next jobs of one line that this worker may run, read a stretch at a time.
local function reader(line, wanted, size)
    local members, at, read_so_far = {}, 0, 0
    local self = {line = line}
    function self.advance()
        repeat
            at = at + 1
            if not members[at] then
                members = redis.call('ZRANGE', key('ready', line), read_so_far, read_so_far + size - 1)
                read_so_far = read_so_far + #members
                at = 1
            end
            self.member = members[at]
        until not self.member or not wanted or wanted(self.member)
    end
    self.advance()
    return self
end

local function readers_of(lines, wanted, room)
    local readers = {}
    for _, line in ipairs(lines) do
        local one = reader(line, wanted, math.ceil(room / #lines))
        if one.member then
            readers[#readers + 1] = one
        end
    end
    return readers
end

local function first_of(readers)
    local first = 1
    for i = 2, #readers do
        if is_before(readers[i].member, readers[first].member) then
            first = i
        end
    end
    return first
end

-- The first jobs of several lines, or of those with limits; what is unwanted, or has no room, is passed over.
local function draw_merged(lines, wanted, room)
    local drawn, by_line, taken = {}, {}, {}
    local readers = readers_of(lines, wanted, room)
    if has_limits then
        buckets()
        limits()
    end
    while #readers > 0 and #drawn < room do
        local first = first_of(readers)
        local one = readers[first]
        local limit = has_limits and limit_in(one.member)
        if not limit or room_for(limit) > (taken[limit] or 0) then
            if limit then
                taken[limit] = (taken[limit] or 0) + 1
            end
            drawn[#drawn + 1] = id_in(one.member)
            by_line[one.line] = by_line[one.line] or {}
            table.insert(by_line[one.line], one.member)
        end
        one.advance()
        if not one.member then
            table.remove(readers, first)
        end
    end
    for line, members in pairs(by_line) do
        thinned[line] = true
        each_page(members, MOST, function(...) redis.call('ZREM', key('ready', line), ...) end)
    end
    return drawn
end
