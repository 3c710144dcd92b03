-- uses: ask
-- The ids of all jobs that are claimed.
local ids = {}
for _, name in ipairs(redis.call('SMEMBERS', key('holders'))) do
    for _, id in ipairs(redis.call('HVALS', key('held', name))) do
        ids[#ids + 1] = id
    end
end
return ids
