-- What every script is asked: KEYS[1] is the app's hash tag, ARGV[1] the instant ('' for the server's own clock) and
-- ARGV[2] a MessagePack document. What else comes is bytes that only the client understands.
local ask = cmsgpack.unpack(ARGV[2])

local function attached(number)
    return ARGV[2 + number]
end

local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end

-- The name of one of the app's keys; migrations/0001_keys.lua lists them.
local function key(kind, name)
    if name then
        return KEYS[1] .. ':' .. kind .. ':' .. name
    end
    return KEYS[1] .. ':' .. kind
end

-- A number as text, digit by digit: `..` and tostring would round instants.
local function exact(number)
    return string.format('%.0f', number)
end
