-- The token bucket of gcra.rs, word for word. The key holds the microsecond at which the bucket is full again.
-- ARGV: tokens per second, burst, cost. Returns whether they were taken, the tokens left, microseconds to wait.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local burst, cost = tonumber(ARGV[2]), tonumber(ARGV[3])
local token_us = math.max(math.floor(4000000 / tonumber(ARGV[1]) + 0.5), 1) / 4
local burst_us = token_us * burst
local full_before_us = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now_us)
local full_after_us = full_before_us + token_us * cost
local wait_us = full_after_us - burst_us - now_us
local function tokens_left(full_at_us)
    return math.max(math.floor((burst_us - (full_at_us - now_us)) / token_us), 0)
end
if wait_us > 0 then
    return { 0, tokens_left(full_before_us), math.min(math.ceil(wait_us), 1e18) }
end
if cost > 0 then
    -- A full bucket is the same as none. A century bounds what the server accepts.
    local full_in_ms = math.min(math.ceil((full_after_us - now_us) / 1000), 3153600000000)
    redis.call('SET', KEYS[1], string.format('%.2f', full_after_us), 'PX', string.format('%.0f', full_in_ms))
end
return { 1, tokens_left(full_after_us), 0 }
