-- uses: ask
-- Up to `ask.look` tallies by minute and queue, behind the attached entry, or from the step on in which the span began.
local last = attached(1)
local least = last and '(' .. last
if not last then
    local first = now - ask.span
    least = '[' .. struct.pack('>I8', math.max(0, first - first % ask.step))
end
return redis.call('ZRANGEBYLEX', key('tallies'), least, '+', 'LIMIT', 0, ask.look)
