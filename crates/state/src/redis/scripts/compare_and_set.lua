-- ARGV: the expected version (empty: absent), the bytes to store, milliseconds to live (0: until deleted).
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then
    return 0
end
if ARGV[3] == '0' then
    redis.call('SET', KEYS[1], ARGV[2])
else
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
