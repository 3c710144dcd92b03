-- uses: moves
-- Whether any job ever had a limit, and the key of a ticket's.
local has_limits = redis.call('EXISTS', key('limits')) == 1

local function limit_in(member)
    local at = string.find(member, '\255', PLACED + 1, true)
    return at and string.sub(member, at + 1)
end
