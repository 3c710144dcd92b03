-- uses: ask
-- Every command that the scripts use, on keys of its own that are gone at the end. A script that is refused a command
-- halfway has done the first half, so a user who may not run one of them is to hear of it before anything is written.
local hash, set, sorted, text = key('rehearsal', 1), key('rehearsal', 2), key('rehearsal', 3), key('rehearsal', 4)
local commands = {
    {'HSET', hash, 'a', 1}, {'HGET', hash, 'a'}, {'HMGET', hash, 'a'}, {'HGETALL', hash}, {'HKEYS', hash},
    {'HVALS', hash}, {'HLEN', hash}, {'HEXISTS', hash, 'a'}, {'HINCRBY', hash, 'a', 1}, {'HDEL', hash, 'a'},
    {'SADD', set, 'a'}, {'SISMEMBER', set, 'a'}, {'SMEMBERS', set}, {'SCARD', set}, {'SREM', set, 'a'},
    {'ZADD', sorted, 0, 'a'}, {'ZSCORE', sorted, 'a'}, {'ZRANGE', sorted, 0, 0}, {'ZRANGEBYLEX', sorted, '-', '+'},
    {'ZREVRANGEBYLEX', sorted, '+', '-'}, {'ZRANGEBYSCORE', sorted, 0, 0}, {'ZLEXCOUNT', sorted, '-', '+'},
    {'ZCARD', sorted}, {'ZCOUNT', sorted, 0, 0}, {'ZREM', sorted, 'a'}, {'ZREMRANGEBYRANK', sorted, 0, 0},
    {'ZREMRANGEBYSCORE', sorted, 0, 0}, {'ZREMRANGEBYLEX', sorted, '-', '+'}, {'ZUNIONSTORE', sorted, 1, sorted},
    {'SET', text, 1}, {'GET', text}, {'INCRBY', text, 1}, {'EXISTS', text},
    {'INCR', text}, {'TIME'}, {'PUBLISH', key('rehearsal'), ''}, {'UNLINK', hash, set, sorted, text},
}
for _, command in ipairs(commands) do
    local answer = redis.pcall(unpack(command))
    if type(answer) == 'table' and answer.err then
        redis.pcall('UNLINK', hash, set, sorted, text)
        return {command[1], answer.err}
    end
end
return false
