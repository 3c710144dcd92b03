-- uses: records
-- What these jobs returned: id and JSON one after the other, of those that completed.
local completed = {}
load(ask.ids)
for _, id in ipairs(ask.ids) do
    local job = jobs[id]
    if job and job[STATE] == COMPLETED and not has(job, VOID) then
        completed[#completed + 1] = id
    end
end
local flat = {}
for i, result in ipairs(fetch(RESULTS, completed)) do
    flat[#flat + 1] = completed[i]
    flat[#flat + 1] = result or 'null'
end
return flat
