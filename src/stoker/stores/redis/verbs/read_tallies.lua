-- uses: ask
-- Up to `ask.look` tallies by minute and queue, behind the entry `ask.last`, or from the step on in which the span began.
local least = ask.last and '(' .. ask.last
if not least then
    local first = now - ask.span
    least = '[' .. struct.pack('>I8', math.max(0, first - first % ask.step))
end
return redis.call('ZRANGEBYLEX', key('tallies'), least, '+', 'LIMIT', 0, ask.look)
