-- uses: reading
-- Of the jobs with these ids, those whose `updated_at` is not the instant of that place in `ask.seen`: {how many of the
-- ids were looked at, the places of those that are not there, the records}. Stops early after `ask.limit` of them, or
-- `ask.bytes` in all.
local gone, looked, number = {}, 0, 0
for i, stand in ipairs(fetch(STANDS, ask.ids)) do
    local id = ask.ids[i]
    if not stand then
        gone[#gone + 1] = i
    elseif updated_in(stand) ~= ask.seen[i] then
        jobs[id] = read(stand)
        take(id)
        number = number + 1
    end
    looked = i
    if number == ask.limit or bytes > ask.bytes then
        break
    end
end
read_page()
return {looked, gone, found}
