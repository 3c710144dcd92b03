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

-- The name of one of the app's keys; migrations/ lists them.
local root = KEYS[1] .. ':'
local named = {}

local function key(kind, name)
    if not name then
        return root .. kind
    end
    local names = named[kind]
    if not names then
        names = {}
        named[kind] = names
    end
    local full = names[name]
    if not full then
        full = root .. kind .. ':' .. name
        names[name] = full
    end
    return full
end

-- A number as text, digit by digit: `..` and tostring would round instants. The last one is kept, because jobs that
-- end together have much in common, and printing a number costs more than the rest.
local last_number, last_text
local function exact(number)
    if number ~= last_number then
        last_number, last_text = number, string.format('%.0f', number)
    end
    return last_text
end
