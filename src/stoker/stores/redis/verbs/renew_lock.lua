-- uses: locking
local held = holder_of(ask.name)
if not held or held.token ~= ask.token then
    return 0
end
hold(ask.name, held, ask.ttl)
return 1
