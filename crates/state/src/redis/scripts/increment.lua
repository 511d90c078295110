-- ARGV: what to add, milliseconds to live for a new counter (0: until deleted). Nothing if the sum would not fit.
local is_new = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then
    if string.find(sum.err, 'overflow', 1, true) then
        return false
    end
    return sum
end
if is_new and ARGV[2] ~= '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
-- Lua counts in floats: the exact sum is the stored text.
return redis.call('GET', KEYS[1])
