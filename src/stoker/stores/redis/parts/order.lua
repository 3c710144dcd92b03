-- uses: moves
-- Which of two tickets is first.
local function is_before(one, other)
    local a, b, c, d = struct.unpack(PLACE, one)
    local w, x, y, z = struct.unpack(PLACE, other)
    if a ~= w then
        return a < w
    elseif b ~= x then
        return b < x
    elseif c ~= y then
        return c < y
    end
    return d < z
end
