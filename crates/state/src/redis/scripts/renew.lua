-- ARGV: the fence, milliseconds of the lease. Returns whether the lock was still held with that fence.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
