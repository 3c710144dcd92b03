-- uses: locking
-- {its token, or false where somebody else has it, the span until it is free}.
local held = holder_of(ask.name)
if held and held.holder ~= ask.holder then
    return {false, exact(held.until_ - now)}
end
held = held or {token = redis.call('INCR', key('tokens')), holder = ask.holder}
hold(ask.name, held, ask.ttl)
return {held.token, exact(ask.ttl)}
