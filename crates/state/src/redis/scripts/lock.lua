-- KEYS: the lock, its last fence. ARGV: milliseconds of the lease. Returns the fence, or nothing if somebody holds the lock.
if redis.call('EXISTS', KEYS[1]) == 1 then
    return false
end
-- Fences rise by counting and, should the server lose its data, by the clock. The count is kept for a day after the lease.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local fence = string.format('%.0f', math.max(last + 1, now_us))
redis.call('SET', KEYS[1], fence, 'PX', ARGV[1])
redis.call('SET', KEYS[2], fence, 'PX', string.format('%.0f', ARGV[1] + 86400000))
return fence
