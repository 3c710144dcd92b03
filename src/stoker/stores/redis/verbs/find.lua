-- uses: listing reading
-- Of a stretch, the records that match: {where to go on, the records}. Stops early where there are `ask.limit` of them,
-- or more than `ask.bytes` in all.
local number = 0
local rest = each_match(function(id)
    number = number + 1
    take(id)
    return number == ask.limit or bytes > ask.bytes
end)
read_page()
return {rest, found}
