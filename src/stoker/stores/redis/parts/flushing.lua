-- uses: turns
-- Write everything. Jobs that are queued at once in fair queues get their turns one after the other, in order of
-- insertion, after others have left.
local function flush()
    write()
    if #turning > 0 then
        local ids = turning
        turning = {}
        table.sort(ids, function(one, other) return (jobs[one] or {})[REF] < (jobs[other] or {})[REF] end)
        turns()
        give_turns(ids)
        write()
    end
end
