-- uses: records
-- Up to `ask.limit` entries of the audit log, newest first: id and entry one after the other.
local most = ask.before and '(' .. ask.before or '+'
local ids = redis.call('ZREVRANGEBYLEX', key('audit'), most, '-', 'LIMIT', 0, ask.limit)
for i, member in ipairs(ids) do
    ids[i] = string.sub(member, 1, string.find(member, '\0', 1, true) - 1)
end
local flat = {}
for i, entry in ipairs(fetch(key('entries'), ids)) do
    flat[#flat + 1] = ids[i]
    flat[#flat + 1] = entry
end
return flat
