-- uses: family limits
-- The end of every script that moves jobs.

-- Write everything, with the consequences of all ends.
local function conclude_ends()
    flush()
    if #ended > 0 or #parting > 0 then
        family()
        follow()
    end
end

local function close()
    conclude_ends()
    if next(stirred) then
        buckets()
        limits()
        readmit()
    end
end
