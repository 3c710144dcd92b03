-- uses: ask
-- Wake-ups. A worker that finds less than it has room for leaves a note; who makes jobs takes the note away and calls.
-- So a busy system calls nobody, and an idle one writes nothing.
local function wake()
    if redis.call('UNLINK', key('idle')) == 1 then
        redis.call('PUBLISH', key('wake'), '')
    end
end

local function doze()
    if redis.call('EXISTS', key('idle')) == 0 then
        redis.call('SET', key('idle'), 1)
    end
end
