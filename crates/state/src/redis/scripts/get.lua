-- The stored bytes and the milliseconds they still live (-1: until deleted); nothing if absent.
local stored = redis.call('GET', KEYS[1])
if not stored then
    return false
end
return { stored, redis.call('PTTL', KEYS[1]) }
