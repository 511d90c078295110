-- ARGV: the item, how many to keep.
if ARGV[2] == '0' then
    redis.call('DEL', KEYS[1])
else
    redis.call('LPUSH', KEYS[1], ARGV[1])
    redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
end
